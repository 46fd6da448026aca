"""What one core can do: arithmetic in 32 bits and bfloat16, and bandwidth, which benchmarks are held against.

    OMP_NUM_THREADS=1 python benchmarks/peaks.py [--repeats 100] [--into benchmarks/results/peaks.json]

Arithmetic is that of a fat convolution, 256 to 256 channels of 3x3x3 on 16^3 voxels, as torch's oneDNN computes it when
its weights are laid out once; a multiplication and an addition are two operations. Bandwidth is that of a copy of 268
MB, which reads and writes them. One core, time of the processor, the best of the repeats: a peak is what is possible.
Where other programs use the machine too, they take a share of the bandwidth.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils import mkldnn

CHANNELS, SIDE, BYTES = 256, 16, 2**28


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """Least processor time of one call; the first does not count."""
    work()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def convolution(dtype: torch.dtype, repeats: int) -> float:
    """Operations a second, in billions."""
    torch.manual_seed(0)
    conv = torch.nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1).eval()
    image = torch.randn(1, CHANNELS, SIDE, SIDE, SIDE)
    laid_out, maps = mkldnn.to_mkldnn(conv, dtype), image.to_mkldnn(dtype)
    with torch.inference_mode():
        seconds = best_seconds(lambda: laid_out(maps), repeats)
    return 2 * 27 * CHANNELS**2 * SIDE**3 / seconds / 1e9


def copy(repeats: int) -> float:
    """Bytes read and written in a second, in billions."""
    source = np.ones(BYTES, np.uint8)
    target = np.ones_like(source)
    return 2 * BYTES / best_seconds(lambda: np.copyto(target, source), repeats) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        "GFLOP/s in 32 bits": round(convolution(torch.float32, options.repeats)),
        "GFLOP/s in bfloat16": round(convolution(torch.bfloat16, options.repeats)),
        "GB/s read and written": round(copy(options.repeats), 1),
    }
    print("| what | one core |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:g} |")
    if options.into:
        options.into.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    from plainly import run_plainly

    run_plainly(main)
