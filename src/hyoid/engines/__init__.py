"""Engines: what computes a net for tiles of one shape, for prediction, explanation and deployment alike.

Read in this order:

- `engine`: Engine, what every engine is; the shelf `engines`; which libraries they need
- `torch`: the net with one answer, and as a program that other engines read
- `compiled`, `onnx`, `openvino`, `int8`: the engines
- `shelf`: all of them, registered
- `evidence`: what a net gives for a tile, and what makes probabilities of it
- `agreement`: how well an engine agrees with torch
- `backend`: which engine computes a net, and whether it may: it must agree with torch
- `signals`: the stack for signals, which a library changes
"""
