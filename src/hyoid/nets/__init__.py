"""Nets: one composable U, its parts on shelves, and the family as rows of data.

A spec says what a net looks like and builds it; a net gives a tuple of logits, finest first. Read in this order:

- `net`: NetSpec and Net, what every net is; the shelf `nets`
- `layers`: Style and Unit, how convolutions are dressed; norms and activations
- `half`: convolutions and norms whose gradients are right in bfloat16
- `blocks`: what a level is made of (`blocks.conv`)
- `resample`: ways down and up
- `skips`: skip connections and how they join; `gates`: skips with attention
- `recompute`: levels that are computed again in the backward pass, so that training needs less memory
- `encoders`, `decoders`, `heads`: the three parts of a U; `graphs`: decoders that are no single path
- `parallel`: two encoders or two decoders side by side
- `pyramids`: encoders with published layouts
- `parts`: all of these on their shelves
- `sizes`: which inputs a U accepts
- `unet`: UNetSpec and UNet, which compose them
- `dropout`: many answers of one net, and what they say about its doubt
- `autoencoder`: a branch that restores the image in training, for nets that add their skips
- `variants`, `family`: the named nets as rows; `own`: any module of your own
- `critics`: nets that judge an answer
- `cost`: parameters, operations, activations, receptive field
- `portrait`, `drawing`: the levels, widths and skips of any net, as text and as SVG
- `published`: counts of parameters that others published, beside the nets' own
- `sheet`: the table of the family, and one net with its cost, drawing, fields and papers

`nets`, `build_spec`, `variant`, `own_net`, `NetSpec`, `Net`, `UNetSpec` and `UNet` can be imported from here; torch is
loaded when they are.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "nets": "family.build",
    "build_spec": "family.build",
    "variant": "variants",
    "own_net": "own",
    "NetSpec": "net",
    "Net": "net",
    "UNetSpec": "unet",
    "UNet": "unet",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"hyoid.nets has no {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
