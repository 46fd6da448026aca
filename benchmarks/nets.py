"""Every net of the shelf on the same data with the same time: the comparison that reviews of the U-Net lack.

    OMP_NUM_THREADS=1 python benchmarks/nets.py DATA... --into FOLDER [--seconds 180] [--nets NAME...]

For all nets the same: cases and split, preparation, patches, batch, augmentation `light`, loss, optimiser, tiles, and
the time, which is that of the processor on one core, so that a busy machine does not matter. Nets have their published
widths and random first weights. Each learns in a process of its own through the verbs of the package. The file
results.json in FOLDER grows net by net; what stands there with the same time is not done again. Prints a table. 2D data
sets only.
"""

import argparse
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from plainly import run_plainly

PATCH, BATCH, NUM_JUDGED = (128, 128), 2, 12
PLANNED = ("planning.net=unet", f"planning.batch={BATCH}", "planning.policy=light", "planning.precision=32-true")
CHANGES = {
    "device": "cpu",
    "training.optimiser.learning_rate": 1e-3,
    "training.checkpoint_seconds": 1e9,
    "training.tensorboard": False,
    "training.workers": 1,
    "prediction.mirror": False,
    "prediction.overlap": 0.25,
}


def plan_once(data: Path, base: Path) -> None:
    """Plan and prepare the data set, whatever the net."""
    from hyoid.workflow import plan, prepare

    plan(data, into=base, steps=1, changes=[*PLANNED, f"planning.patch={list(PATCH)}", "planning.channels=[8,16]"])
    prepare(base)


def learn(base: Path, name: str, seconds: float) -> None:
    """Train a net for so many seconds of the processor, judge it on held-out cases, print the figures as JSON."""
    time.perf_counter = time.process_time  # the loop's clock then counts this process's work, not others'
    import torch

    from hyoid.nets import build_spec
    from hyoid.run_folder import RunFolder, Split
    from hyoid.workflow import evaluate, predict, train

    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CPU, (int(600 + 5 * seconds),) * 2)
    run = RunFolder(base.parent / name)
    shutil.rmtree(run.path, ignore_errors=True)
    shutil.copytree(base, run.path)
    planned, split = run.experiment.decided, run.split
    channels = len(planned.preparation.intensity)
    spec = build_spec(name, 2, channels, len(run.experiment.task_labels.names) + 1)
    net = spec.build()
    patch = net.fitting_shape([n + 2 * m for n, m in zip(PATCH, net.margin, strict=True)])
    changed = planned.model_copy(update={"net": spec, "net_name": name, "patch": patch})
    timed = {"training.steps": None, "training.minutes": seconds / 60, **CHANGES}
    run.experiment.changed(timed).model_copy(update={"plan": changed}).write(run.experiment_file)
    every = split.validation
    judged = [every[i * len(every) // NUM_JUDGED] for i in range(NUM_JUDGED)] if len(every) > NUM_JUDGED else every
    Split(training=split.training, validation=()).write(run.path / "split.yaml")
    train(run.path)
    Split(training=split.training, validation=tuple(judged)).write(run.path / "split.yaml")
    begin = time.process_time()
    predict(run.path)
    each = (time.process_time() - begin) / len(judged)
    found = [one.spread.mean for one in evaluate(run.path).summaries if one.metric == "dice"]
    told = run.read_json("training.json")
    shutil.rmtree(run.path)
    row = {
        "dice": round(sum(found) / len(found), 4),
        "steps": told["steps"],
        "step_seconds": round(told["seconds"] / told["steps"], 3),
        "case_seconds": round(each, 2),
        "memory_gb": round(told["memory_gb"], 2),
        "parameters": sum(one.numel() for one in net.parameters()),
        "patch": list(patch),
        "cases": len(judged),
    }
    print(json.dumps(row))


def attempt(base: Path, name: str, seconds: float) -> dict[str, Any]:
    """The figures of a net, or why there are none."""
    command = [sys.executable, __file__, str(base), "--into", str(base), "--seconds", str(seconds), "--learn", name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return {"seconds": seconds, **json.loads(done.stdout.splitlines()[-1])}
    slow = done.returncode == -signal.SIGXCPU
    why = "too slow for a step and the held-out cases" if slow else (done.stderr.strip().splitlines() or ["killed"])[-1]
    return {"seconds": seconds, "failure": why}


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """The results as Markdown, best first."""
    lines = ["| net | Dice | steps | s / step | s / case | memory, GB | parameters |", "|---|---|---|---|---|---|---|"]
    for name, row in sorted(results.items(), key=lambda item: -item[1].get("dice", -1.0)):
        if "failure" in row:
            lines.append(f"| `{name}` | {row['failure']} | | | | | |")
            continue
        lines.append(
            f"| `{name}` | {row['dice']:.3f} | {row['steps']} | {row['step_seconds']:.2f} | {row['case_seconds']:.2f} |"
            f" {row['memory_gb']:.2f} | {row['parameters']:,} |"
        )
    return lines


def compare(folders: list[Path], into: Path, seconds: float, names: list[str]) -> None:
    """Every net on every data set."""
    from hyoid.nets import nets

    file = into / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for data in folders:
        plan_once(data, into / data.name / "base")
    for name in names or nets:
        for data in folders:
            rows = results.setdefault(data.name, {})
            if rows.get(name, {}).get("seconds") == seconds:
                continue
            rows[name] = attempt(into / data.name / "base", name, seconds)
            print(data.name, name, rows[name], file=sys.stderr, flush=True)
            file.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    for title, rows in results.items():
        print(f"\n## {title}\n", *table(rows), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--nets", nargs="*", default=())
    parser.add_argument("--learn", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.learn:
        learn(options.data[0], options.learn, options.seconds)
    else:
        compare(options.data, options.into, options.seconds, options.nets)


if __name__ == "__main__":
    run_plainly(main)
