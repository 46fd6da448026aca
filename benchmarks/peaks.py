"""What one core can do: arithmetic in 32 bits, bfloat16 and 8 bits, and bandwidth, which benchmarks are held against.

    OMP_NUM_THREADS=1 python benchmarks/peaks.py [--repeats 100] [--into benchmarks/results/peaks.json]

Arithmetic is that of a fat convolution, 256 to 256 channels of 3x3x3 on 16^3 voxels, as torch's oneDNN computes it when
its weights are laid out once; a multiplication and an addition are two operations. Bandwidth is that of a copy of 268
MB, which reads and writes them. One core, time of the processor, the best of the repeats: a peak is what is possible.
Where other programs use the machine too, they take a share of the bandwidth. The figures of other processors stay in
the file.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from plainly import run_plainly
from torch.utils import mkldnn

from hyoid.core.machine import machine

CHANNELS, SIDE, BYTES = 256, 16, 2**28
OPERATIONS = 2 * 27 * CHANNELS**2 * SIDE**3


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
    return OPERATIONS / seconds / 1e9


def convolution_8_bits(repeats: int) -> float:
    """The same of whole numbers of 8 bits, through what torch's own compiler calls for them."""
    weights = torch.randint(-127, 128, (CHANNELS, CHANNELS, 3, 3, 3), dtype=torch.int8)
    maps = torch.randint(0, 256, (1, CHANNELS, SIDE, SIDE, SIDE), dtype=torch.uint8)
    maps = maps.contiguous(memory_format=torch.channels_last_3d)
    step, zero, scales, ones = 0.05, 128, torch.full((CHANNELS,), 0.01), [1, 1, 1]
    zeros = torch.zeros(CHANNELS, dtype=torch.int32)
    laid_out = torch.ops.onednn.qconv_prepack(weights, scales, step, zero, ones, ones, ones, 1, list(maps.shape))
    given = (maps, step, zero, laid_out, scales, zeros, None, ones, ones, ones, 1, 1.0, 0, torch.uint8, "none", [], "")
    return OPERATIONS / best_seconds(lambda: torch.ops.onednn.qconv3d_pointwise(*given), repeats) / 1e9


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
        "GOP/s in 8 bits": round(convolution_8_bits(options.repeats)),
        "GB/s read and written": round(copy(options.repeats), 1),
    }
    print("| what | one core |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:g} |")
    if options.into:
        everyone = json.loads(options.into.read_text()) if options.into.exists() else {}
        everyone[machine()["processor"]] = found
        options.into.write_text(json.dumps(everyone, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
