"""Cold start: how long commands take beside their work.

    python benchmarks/start.py [--repeats 5] [--into benchmarks/results/start.json]

`hyoid --help`, `hyoid inspect FILE` and `hyoid predict RUN FILE` of one volume of 64^3 voxels with a small net, each in
a process of its own, from a warm disk and with byte code kept, beside nnU-Net's help and the bare imports of torch and
MONAI. Time of the processor on one core, all in turn, medians; of predicting also what is left without the forward pass
of the net.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from plainly import need, run_plainly

HYOID = [sys.executable, "-m", "hyoid"]
IN_THE_NET = """
import atexit, time
from hyoid import cli
cli.collect_seldom()
from hyoid.engines.torch import TorchEngine
spent, answered = [0.0], TorchEngine.__call__
def timed(self, tiles):
    begin = time.process_time()
    logits = answered(self, tiles)
    spent[0] += time.process_time() - begin
    return logits
TorchEngine.__call__ = timed
atexit.register(lambda: print(spent[0]))
cli.main()
"""


def make_run(folder: Path) -> None:
    """A run of one training step, and a volume to predict."""
    import nibabel

    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / "data" / name).mkdir(parents=True)
    for index in range(4):
        labels = np.zeros((64, 64, 64), np.uint8)
        labels[16:40, 20:44, 12 + index : 40] = 1
        image = (100 * labels + rng.normal(0, 30, labels.shape)).astype(np.int16)
        for name, array in (("images", image), ("labels", labels)):
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / "data" / name / f"case_{index}.nii.gz")
    changes = ("planning.net=unet", "planning.channels=[8,16,32]", "planning.patch=[48,48,48]", "planning.batch=1")
    told = [argument for change in changes for argument in ("--set", change)]
    for command in (["plan", "data", "--into", "run", "--steps", "1", *told], ["prepare", "run"], ["train", "run"]):
        subprocess.run([*HYOID, *command], cwd=folder, check=True, capture_output=True)


def seconds(command: list[str], folder: Path) -> tuple[float, str]:
    """Processor time of a command and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout


def measure(folder: Path, repeats: int) -> dict[str, float]:
    """Median seconds of every command."""
    image = "data/images/case_0.nii.gz"
    commands = {
        "hyoid --help": [*HYOID, "--help"],
        "hyoid inspect FILE": [*HYOID, "inspect", image],
        "hyoid predict RUN FILE": [*HYOID, "predict", "run", image, "--into", "answers"],
        "the same but for the net": [sys.executable, "-c", IN_THE_NET, "predict", "run", image, "--into", "answers"],
        "import torch": [sys.executable, "-c", "import torch"],
        "import monai": [sys.executable, "-W", "ignore", "-c", "import monai"],
        "nnUNetv2_predict --help": [str(Path(sys.executable).parent / "nnUNetv2_predict"), "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats + 1):
        for name, command in commands.items():
            spent, printed = seconds(command, folder)
            times[name].append(spent - (float(printed.split()[-1]) if "but for" in name else 0))
    return {name: round(statistics.median(some[1:]), 2) for name, some in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    need("monai", "nnunetv2")
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        make_run(Path(folder))
        found = measure(Path(folder), options.repeats)
    print("| command | s |\n|---|---|")
    for name, spent in found.items():
        print(f"| `{name}` | {spent:.2f} |" if "but for" not in name else f"| {name} | {spent:.2f} |")
    if options.into:
        facts = {name: version(name) for name in ("torch", "monai", "nnunetv2")}
        options.into.write_text(json.dumps({"facts": facts, "seconds": found}, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
