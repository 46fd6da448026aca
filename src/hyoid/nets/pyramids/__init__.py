"""Pyramids: encoders with published layouts, so that published weights load by name.

An encoder here has the modules and names of torchvision's net without its classifier, and is built from the same fields
as any other: the levels of the spec say how wide it is, how many blocks a level has and by what it steps. So it may be
made narrower, shallower, anisotropic, or 3D; published weights then fit only where shapes do. Read in this order:

- `pyramid`: what they share
- `resnet`, `vgg`, `mobilenet`, `efficientnet`, `densenet`, `xception`: the nets
- `resnet_v2`: the ResNet of hybrid transformers
- `flax`: weights of hybrid transformers in the names of their first library
- `timm_encoder`: any model of timm, in 2D
- `published`: weights by name, adapted to other channels and to 3D
- `catalogue`: public weights, with digest and licence; `weights`: reading and fetching them
"""
