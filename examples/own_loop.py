"""A training loop of your own on the patches that hyoid would train on: same cases, same augmentation, same order.

python examples/own_loop.py [FOLDER]
"""

import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader

import hyoid
from hyoid.datasets.phantoms import write_phantoms
from hyoid.losses import losses
from hyoid.nets import build_spec


def main(folder: Path, num_cases: int = 10, size: int = 96, steps: int = 150) -> list[float]:
    """Train on generated cells, and give the loss of each step."""
    data = write_phantoms(folder / "cells", "cells", num_cases, size)
    plan = hyoid.plan(data, into=folder / "run", steps=steps, seed=1)

    patches = hyoid.cases(folder / "run")  # prepares what is not prepared yet
    loader = DataLoader(patches, batch_size=plan.batch)  # with num_workers=4, processes cut the patches

    net = build_spec("unet", 2, 1, plan.net.out_channels, channels=(8, 16, 32)).build()  # or any module
    loss, optimiser = losses.build("dice_ce"), torch.optim.AdamW(net.parameters(), 1e-3)
    values = []
    for batch in loader:
        logits, *_ = net(batch["image"])
        value = loss(logits, batch["target"])
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(value.item())
    print(f"loss {values[0]:.3f} -> {values[-1]:.3f}")

    for case in hyoid.cases(folder / "run", "validation", whole=True):
        with torch.no_grad():
            answer = net.eval()(case["image"][None])[0].argmax(1)
        print(f"{case['case_id']}: {(answer[0] == case['target']).float().mean():.3f} of the pixels agree")
    return values


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/own_loop"))
