"""How long threads that wait for one another should spin: a training step alone, and beside other programs.

    python benchmarks/threads.py [--spins default 0 100 1000 10000] [--others 0 1 2] [--repeats 3]

A 2D U-Net of 16 to 128 channels, batch 8 of 128 x 128, bfloat16, on all cores. Each step count is of a process of its
own, since libgomp reads GOMP_SPINCOUNT when it is loaded; "others" are programs that each keep one core busy. Wall time
of a step in milliseconds, the median of the repeats; run it on a machine that has nothing else to do.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from plainly import run_plainly

STEPS = 8


def step_ms() -> float:
    """Wall time of a training step in this process."""
    import torch

    from hyoid.nets import build_spec

    torch.manual_seed(0)
    net = build_spec("unet", 2, 1, 2, channels=(16, 32, 64, 128)).build()
    optimiser, images = torch.optim.AdamW(net.parameters()), torch.randn(8, 1, 128, 128)
    begin = 0.0
    for number in range(STEPS + 1):
        if number == 1:  # the first one warms up
            begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            loss = net(images)[0].float().square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return 1000 * (time.perf_counter() - begin) / STEPS


def measure(spins: str, others: int) -> float:
    """The same in a process that spins so often, beside so many others."""
    told = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if spins != "default":
        told["GOMP_SPINCOUNT"] = spins
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
    try:
        child = subprocess.run(
            [sys.executable, __file__, "--child"], env=told, check=True, stdout=subprocess.PIPE, text=True
        )
    finally:
        for one in busy:
            one.kill()
            one.wait()
    return float(child.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spins", nargs="+", default=["default", "0", "100", "1000", "10000"])
    parser.add_argument("--others", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(step_ms())
        return
    print(f"| spins | {' | '.join(f'{others} others' for others in options.others)} |")
    print("|---" * (len(options.others) + 1) + "|")
    for spins in options.spins:
        cells = [statistics.median(measure(spins, others) for _ in range(options.repeats)) for others in options.others]
        print(f"| {spins} | {' | '.join(f'{cell:.0f}' for cell in cells)} |", flush=True)


if __name__ == "__main__":
    run_plainly(main)
