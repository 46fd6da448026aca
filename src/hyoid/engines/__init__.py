"""Engines: what computes a net for tiles, for prediction, explanation and deployment alike.

Read in this order:

- `facts`: NetFacts, the sizes that a net takes and gives
- `evidence`: what a net gives for a tile, what of it is averaged, and what makes maps of it
- `engine`: Engine, what every engine is; Program, its form for tiles of one shape; the shelf `engines`; Deployed
- `torch`: the reference, the net as other engines read it, and torch.compile
- `onnx`, `openvino`: the other engines
- `programs`: made for a shape of tiles, kept on disk
- `agreement`: how well an engine agrees with torch
- `choice`: which engine computes a net, and whether it may: it must agree with torch
"""
