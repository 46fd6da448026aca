"""Blocks: what the levels of a net are made of.

- `conv`: plain, across slices, residual, preactivated, V-Net
- `attention`: squeeze and excitation, CBAM, CSPAM, non-local, after any other block
- `separable`: each channel on its own, then all channels of a voxel
- `residual`: context modules, asymmetric sums, a bare convolution; weighted skips, strided ways down
- `conditioned`: a residual block that is told the time
- `recurrent`: recurrent convolutions, with their three readings in public code
- `dense`: dense blocks and their transitions
- `inception`: Inception, MultiRes and its path for skips
- `context`: pooled parts, spread and very large separable kernels
- `capsule`: votes, their routing by agreement
- `tokens`: attention between all tokens, their positions
- `windows`: attention in shifted windows, ways between grids of tokens
- `convnext`: MedNeXt's block
- `sequence`: the selective scan, Mamba, scans along every axis
"""
