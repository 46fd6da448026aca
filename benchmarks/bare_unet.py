"""A bare U-Net on the split of a hyoid run, for comparison: random crops, flips, a small affine, nothing planned.

    python benchmarks/bare_unet.py RUN [--minutes 5] [--seed 0]

It learns from the training cases of RUN and is judged, whole images, on its validation cases. It has 32 to 512
channels, sees crops of 192 pixels in batches of 8, in bfloat16 where the processor has it, and follows AdamW from 1e-3
to zero along a cosine. Prints the mean Dice of each structure beside that of the run. 2D data sets only.
"""

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from plainly import run_plainly
from torch import nn
from torch.nn import functional

from hyoid.evaluation.report import Report
from hyoid.run_folder import RunFolder

CROP, BATCH, WIDTHS, RATE = 192, 8, (32, 64, 128, 256, 512), 1e-3


def stage(inside: int, outside: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [nn.Conv2d(channels, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Bare(nn.Module):
    """Five levels, max pooling, transposed convolutions, batch norm."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(stage(a, b) for a, b in pairwise((channels, *WIDTHS)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(WIDTHS))
        self.join = nn.ModuleList(stage(2 * a, a) for a in WIDTHS[:-1])
        self.head = nn.Conv2d(WIDTHS[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for level in self.down:
            x = level(functional.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        for up, join, skip in zip(reversed(self.up), reversed(self.join), reversed(skips[:-1]), strict=True):
            x = join(torch.cat([skip, up(x)], 1))
        return self.head(x)


def read(folder: RunFolder, case_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Image, each channel with mean 0 and deviation 1, and class indices."""
    case = folder.dataset.read(case_id)
    image = case.image.array.astype(np.float32)
    image -= image.mean((1, 2), keepdims=True)
    image /= image.std((1, 2), keepdims=True) + 1e-6
    target = np.zeros(image.shape[1:], np.int64)
    for index, values in enumerate(folder.experiment.task_labels.values, 1):
        target[np.isin(case.truth.array[0], values)] = index
    return image, target


def batch(cases: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random crops, mirrored, turned by up to 15 degrees and scaled by up to 15 %."""
    images, targets, turns = [], [], []
    for _ in range(BATCH):
        image, target = cases[rng.integers(len(cases))]
        missing = [max(0, CROP - n) for n in target.shape]
        image = np.pad(image, [(0, 0), *((0, m) for m in missing)])
        target = np.pad(target, [(0, m) for m in missing])
        y, x = (rng.integers(n - CROP + 1) for n in target.shape)
        images.append(image[:, y : y + CROP, x : x + CROP])
        targets.append(target[y : y + CROP, x : x + CROP])
        angle, factor, mirror = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(0.85, 1.15), rng.choice([-1, 1], 2)
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        turns.append([[cos * mirror[0], -sin, 0], [sin, cos * mirror[1], 0]])
    image, target = torch.tensor(np.stack(images)), torch.tensor(np.stack(targets))
    grid = functional.affine_grid(torch.tensor(np.array(turns), dtype=torch.float32), image.shape, align_corners=False)
    image = functional.grid_sample(image, grid, align_corners=False)
    target = functional.grid_sample(target[:, None].float(), grid, mode="nearest", align_corners=False)
    return image, target[:, 0].long()


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    probabilities = logits.softmax(1)[:, 1:]
    masks = functional.one_hot(target, logits.shape[1]).movedim(-1, 1)[:, 1:]
    overlap = 2 * (probabilities * masks).sum((0, 2, 3)) + 1
    dice = overlap / (probabilities.sum((0, 2, 3)) + masks.sum((0, 2, 3)) + 1)
    return functional.cross_entropy(logits, target) + 1 - dice.mean()


def answer(net: Bare, image: np.ndarray) -> np.ndarray:
    """Class indices of a whole image, padded to what five levels need."""
    height, width = image.shape[1:]
    padded = np.pad(image, [(0, 0), (0, -height % 16), (0, -width % 16)], mode="reflect")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
        logits = net(torch.from_numpy(padded)[None])
    return logits[0, :, :height, :width].argmax(0).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = RunFolder.open(options.run)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    cases = [read(folder, case_id) for case_id in folder.split.training]
    names = folder.experiment.task_labels.names
    net = Bare(cases[0][0].shape[0], len(names) + 1)
    optimiser = torch.optim.AdamW(net.parameters(), RATE)
    begin, steps, progress = time.perf_counter(), 0, 0.0
    while progress < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * progress))
        image, target = batch(cases, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
            logits = net(image)
        optimiser.zero_grad()
        loss_of(logits.float(), target).backward()
        optimiser.step()
        steps += 1
        progress = (time.perf_counter() - begin) / (60 * options.minutes)
    net.eval()
    scores: dict[str, list[float]] = {name: [] for name in names}
    for case_id in folder.split.validation:
        image_array, reference = read(folder, case_id)
        found = answer(net, image_array)
        for index, name in enumerate(names, 1):
            total = (found == index).sum() + (reference == index).sum()
            scores[name].append(2 * ((found == index) & (reference == index)).sum() / total if total else 1.0)
    report = Report.read(options.run)
    print(f"{folder.path.name}: bare U-Net {options.minutes:g} minutes, {steps} steps; Dice on the validation cases")
    for name in names:
        ours = report.summary(name, "dice").spread.mean
        print(f"  {name:20s} bare {np.mean(scores[name]):.3f}   hyoid {ours:.3f}")


HAS_BF16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()

if __name__ == "__main__":
    run_plainly(main)
