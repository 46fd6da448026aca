"""Engines: what computes a net for tiles of one shape, for prediction, explanation and deployment alike.

Read in this order:

- `engine`: Engine, what every engine is; the shelf `engines`: compile, onnx, openvino, openvino_int8
- `evidence`: what a net gives for a tile, and what makes probabilities of it
- `backend`: which engine computes a net, and whether it may: it must agree with torch
- `signals`: the stack for signals, which a library changes
"""
