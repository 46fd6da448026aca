"""What torch.compile brings for the net of a plan, and what it costs, on this processor.

    hyoid plan DATA --into RUN --steps 1000
    OMP_NUM_THREADS=1 python benchmarks/compile.py RUN [RUN ...]

Time of the processor, that of the C++ compiler included, so that other programs count little: the first compiled step,
and the median of five steps (both passes, cross-entropy and update, random patches) as they are and compiled.
"""

import argparse
import os
import statistics
from collections.abc import Callable

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # compilers that wait as daemons would not be counted
os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")  # else the second time costs little

import torch
from plainly import run_plainly

from hyoid.planning.plan import Plan
from hyoid.run_folder import RunFolder

STEPS = 5


def spent() -> float:
    """Processor time of this process and of the compilers it has started, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def taken(action: Callable[[], None]) -> float:
    """Seconds of one call."""
    begin = spent()
    action()
    return spent() - begin


def step_of(net: torch.nn.Module, plan: Plan) -> Callable[[], None]:
    """A training step on random patches."""
    shape = plan.patch[-plan.dims :]
    image = torch.randn(plan.batch, plan.net.in_channels, *shape)
    target = torch.randint(0, plan.net.out_channels, (plan.batch, *shape))
    optimiser = torch.optim.AdamW(net.parameters(), 1e-4, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bf16-mixed"):
            logits = net(image)[0]
        torch.nn.functional.cross_entropy(logits.float(), target).backward()
        optimiser.step()

    return step


def measure(plan: Plan) -> list[str]:
    """A row of the table."""
    torch.manual_seed(0)
    net = plan.net.build().train()
    step = step_of(net, plan)
    step()
    before = statistics.median(taken(step) for _ in range(STEPS))
    net.compile(dynamic=False)
    first = taken(step)
    step()
    after = statistics.median(taken(step) for _ in range(STEPS))
    size = "x".join(map(str, plan.patch))
    even = f"{(first - after) / (before - after):,.0f}" if after < before else "never"
    net_name = f"{plan.dims}D {plan.net_name}, {plan.batch} x {size}, {plan.precision}"
    return [net_name, f"{before:.2f}", f"{after:.2f}", f"{first:.0f}", even]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="folders of planned runs")
    plans = [RunFolder.open(run).experiment.decided for run in parser.parse_args().runs]
    torch.set_num_threads(1)
    print("| net, patches, precision | a step, s | compiled, s | first step, s | pays from step |")
    print("|---|---|---|---|---|")
    for plan in plans:
        print(f"| {' | '.join(measure(plan))} |", flush=True)


if __name__ == "__main__":
    run_plainly(main)
