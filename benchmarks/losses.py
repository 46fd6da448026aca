"""What a loss costs in a training step: forward and backward of each loss on one 3D batch, beside MONAI's.

    OMP_NUM_THREADS=1 python benchmarks/losses.py [--size 96] [--repeats 3] [--into benchmarks/results/losses.json]

Two samples, a background and two structures, float32, one core; processor time, peer and ours in turn,
the median of the repeats. Prints a table in Markdown.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from plainly import need, run_plainly
from torch import Tensor

PEERS = {
    "dice": lambda m: m.DiceLoss(softmax=True, to_onehot_y=True, include_background=False),
    "dice_ce": lambda m: m.DiceCELoss(softmax=True, to_onehot_y=True, include_background=False),
    "focal": lambda m: m.FocalLoss(use_softmax=True, to_onehot_y=True),
    "tversky": lambda m: m.TverskyLoss(softmax=True, to_onehot_y=True, include_background=False),
    "generalised_dice": lambda m: m.GeneralizedDiceLoss(softmax=True, to_onehot_y=True, include_background=False),
    "hausdorff_dt": lambda m: m.HausdorffDTLoss(softmax=True, to_onehot_y=True, include_background=False),
    "cl_dice": lambda m: m.SoftDiceclDiceLoss(iter_=10, softmax=True, to_onehot_y=True, include_background=False),
}


def batch(size: int) -> tuple[Tensor, Tensor]:
    """Random logits and two balls."""
    torch.manual_seed(0)
    places = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, size)] * 3, indexing="ij"))
    target = torch.zeros(2, size, size, size, dtype=torch.long)
    for sample in range(2):
        for label, middle in ((1, -0.4), (2, 0.4)):
            target[sample][(places - middle).square().sum(0) < 0.12 + 0.05 * sample] = label
    return torch.randn(2, 3, size, size, size), target


def seconds(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor) -> float:
    """Processor time of one step through the loss."""
    logits = logits.clone().requires_grad_()
    begin = time.process_time()
    loss(logits, target).backward()
    return time.process_time() - begin


def measure(size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds of every loss, and of its peer where there is one."""
    import monai.losses

    from hyoid.losses import losses

    logits, target = batch(size)
    found = {}
    for name in losses:
        ours = losses.build(name)
        theirs = PEERS[name](monai.losses) if name in PEERS else None
        times: dict[str, list[float]] = {"ours": [], "monai": []}
        for _ in range(repeats + 1):
            times["ours"].append(seconds(ours, logits, target))
            if theirs is not None:
                times["monai"].append(seconds(theirs, logits, target.unsqueeze(1)))
        found[name] = {key: round(1000 * statistics.median(some[1:]), 1) for key, some in times.items() if some}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    need("monai")
    torch.set_num_threads(1)
    found = measure(options.size, options.repeats)
    print(f"| loss | ms, {options.size}^3 | MONAI, ms | ratio |\n|---|---|---|---|")
    for name, row in sorted(found.items(), key=lambda item: item[1]["ours"]):
        peer = f"{row['monai']:.0f} | {row['monai'] / row['ours']:.1f}" if "monai" in row else "|"
        print(f"| `{name}` | {row['ours']:.0f} | {peer} |")
    if options.into:
        options.into.write_text(json.dumps({"size": options.size, "milliseconds": found}, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
