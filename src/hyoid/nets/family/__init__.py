"""The family of nets, as rows.

- `classic`: the U-Net and its 3D form, V-Net
- `residual`: residual U-Nets and nnU-Net's nets
- `attention`: gated skips, squeezed channels, views of the whole image
- `build`: a spec by its name
"""
