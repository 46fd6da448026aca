"""The family of nets, as rows.

- `classic`: the U-Net and its 3D form, V-Net
- `residual`: residual and recurrent U-Nets, SegResNet, nnU-Net's nets
- `dense`: dense, inception and multi-scale nets
- `attention`: gated skips, squeezed channels, views of the whole image
- `nested`: decoders that are graphs, U-Net++ and its pruning, UNet 3+
- `light`: known encoders with public weights, and a net for small machines
- `fully_convolutional`: FCN, SegNet, DeepMedic, the dilated net
- `backbone`: a ResNet for the nets that follow
- `pyramid_heads`: FPN, PSPNet, SSNet
- `deeplab`: DeepLab v1 to v3+
- `transformer`: UNETR
- `hybrid`: TransUNet
- `hybrid_dense`: H-DenseUNet
- `swin`: Swin UNETR, Swin-Unet
- `state_space`: U-Mamba, VM-UNet, PUNet
- `modern`: MedNeXt
- `parallel`: two encoders, two decoders
- `diffusion`: the U that is told the time
- `capsule`: SegCaps
- `probabilistic`: the probabilistic U-Net
- `unsupervised`: W-Net
- `build`: a spec by its name
"""
