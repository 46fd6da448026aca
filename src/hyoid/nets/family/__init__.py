"""The family of nets, as rows.

- `classic`: the U-Net and its 3D form, V-Net
- `residual`: residual U-Nets and nnU-Net's nets
- `build`: a spec by its name
"""
