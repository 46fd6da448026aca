"""Training steps a second, data included: hyoid, MONAI with CacheDataset, and nnU-Net's trainer, with the same net.

    OMP_NUM_THREADS=1 python benchmarks/train.py [--steps 8] [--repeats 1] [--into benchmarks/results/train.json]

nnU-Net's plain 3D net of 16 to 128 channels, patches of 64^3, two in a step, of eight volumes of 96^3.
Augmentation is nnU-Net's: hyoid's policy of that name, nnU-Net's own, MONAI's transforms with the same probabilities.
nnU-Net works in 32 bits on processors, so hyoid and MONAI are measured in 32 bits as well as in bfloat16. Each in a
process of its own, in turn; time of the processor a step with all threads of the process, so that a busy machine does
not matter; the first steps do not count. Waiting is the share of wall time in which the net of hyoid waited for
patches, with one thread for the net and one for patches.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from plainly import need, run_plainly

PATCH, BATCH, CHANNELS, SHAPE, CASES, WARM = (64, 64, 64), 2, (16, 32, 64, 128), (96, 96, 96), 8, 3
RUNS = (
    ("hyoid", "bf16-mixed"),
    ("hyoid", "32-true"),
    ("MONAI", "bf16-mixed"),
    ("MONAI", "32-true"),
    ("nnU-Net", "32-true"),
)


def case(index: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright ball in noise, and its label."""
    rng = np.random.default_rng(index)
    centre = rng.uniform(0.35, 0.65, 3) * SHAPE
    distance = np.sqrt(sum((i - c) ** 2 for i, c in zip(np.indices(SHAPE), centre, strict=True)))
    labels = (distance < 20).astype(np.uint8)
    image = labels * 2 + rng.standard_normal(SHAPE)
    return ((image - image.mean()) / image.std()).astype(np.float32), labels


def net_of() -> tuple[Any, Any]:
    """The spec and a net."""
    import torch

    from hyoid.nets import build_spec

    torch.manual_seed(0)
    spec = build_spec("nnunet_plain", 3, 1, 2, channels=CHANNELS, deep_supervision=False)
    return spec, spec.build()


def with_hyoid(steps: int, precision: str, folder: Path) -> dict[str, float]:
    """The loop of `hyoid train` on prepared cases."""
    from hyoid.core.case import Case, Image
    from hyoid.core.grid import Grid
    from hyoid.core.labels import Labels
    from hyoid.planning.plan import Plan
    from hyoid.preparation.pipeline import PreparationSettings
    from hyoid.preparation.store import Store
    from hyoid.tasks import task_for
    from hyoid.training.clock import Clock
    from hyoid.training.job import Job
    from hyoid.training.loop import fit
    from hyoid.training.settings import TrainingSettings

    grid = Grid.plain(SHAPE, (1.0, 1.0, 1.0))
    store = Store(folder / "cases", tuple(f"ball_{i}" for i in range(CASES)))
    for index, case_id in enumerate(store.ids):
        image, labels = case(index)
        store.write(Case(case_id, Image(image[None], grid), Image(labels[None], grid, "labels")))
    spec, net = net_of()
    spacing = {"preparation": PreparationSettings(spacing_mm=(1.0, 1.0, 1.0))}
    shape = {"dims": 3, "patch": PATCH, "batch": BATCH, "net": spec, "net_name": "nnunet_plain"}
    learnt = {"precision": precision, "policy": "nnunet", "mirror_axes": (0, 1, 2), "foreground_share": 0.33}
    plan = Plan.model_construct(**spacing, **shape, **learnt, batch_dice=False)
    settings = TrainingSettings(workers=1, tensorboard=False, checkpoint_seconds=1e9, validation=0)
    times, tick = [], Clock.tick

    def ticked(clock: Clock, seconds: float) -> None:
        times.append(time.process_time())
        tick(clock, seconds)

    Clock.tick = ticked  # type: ignore[method-assign]
    task = task_for(Labels.of({1: "ball"}))
    job = Job(task, store, store.ids, (), plan, settings, folder / "run", steps=steps + WARM, accelerator="cpu")
    outcome = fit(net, job)
    return {"seconds": pace(times), "waiting": outcome.waiting}


def pace(times: list[float]) -> float:
    """Seconds a step from the time after each, without the first ones."""
    return (times[-1] - times[WARM - 1]) / (len(times) - WARM)


def with_monai(steps: int, precision: str, folder: Path) -> dict[str, float]:
    """MONAI's way: cached cases, dictionary transforms, DiceCELoss."""
    import torch
    from monai import transforms as T
    from monai.data import CacheDataset, DataLoader
    from monai.losses import DiceCELoss

    both, first = ("image", "label"), ("image",)
    modes = {"mode": ("bilinear", "nearest"), "padding_mode": "zeros"}
    sigma = {f"sigma_{axis}": (0.5, 1.0) for axis in "xyz"}
    chain = T.Compose(
        [
            T.RandCropByPosNegLabeld(both, "label", PATCH, pos=1, neg=2, num_samples=1),
            T.RandAffined(both, prob=0.36, rotate_range=[0.52] * 3, scale_range=[(-0.3, 0.4)] * 3, **modes),
            T.RandGaussianNoised(first, prob=0.1, std=0.1),
            T.RandGaussianSmoothd(first, prob=0.1, **sigma),
            T.RandScaleIntensityd(first, factors=0.25, prob=0.15),
            T.RandAdjustContrastd(first, prob=0.15, gamma=(0.75, 1.25)),
            T.RandSimulateLowResolutiond(first, prob=0.125, zoom_range=(0.5, 1.0)),
            T.RandAdjustContrastd(first, prob=0.4, gamma=(0.7, 1.5), retain_stats=True),
            *[T.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)],
        ]
    )
    data = [dict(zip(both, (array[None] for array in case(index)), strict=True)) for index in range(CASES)]
    loader = DataLoader(CacheDataset(data, chain, progress=False), batch_size=BATCH, shuffle=True, num_workers=0)
    net, loss = net_of()[1].train(), DiceCELoss(to_onehot_y=True, softmax=True)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    times: list[float] = []
    while len(times) < steps + WARM:
        for batch in loader:
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision != "32-true"):
                logits = net(batch["image"].as_tensor())[0]
            loss(logits.float(), batch["label"].as_tensor()).backward()
            optimiser.step()
            times.append(time.process_time())
    return {"seconds": pace(times)}


def with_nnunet(steps: int, precision: str, folder: Path) -> dict[str, float]:
    """nnU-Net's trainer with its data loader in the same process; only the net is replaced."""
    del precision
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(folder / name)
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_compile": "f"}
    import nibabel
    import torch
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    data = folder / "raw" / "Dataset001_Balls"
    for name in ("imagesTr", "labelsTr"):
        (data / name).mkdir(parents=True)
    for index in range(CASES):
        image, labels = case(index)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), data / "imagesTr" / f"ball_{index}_0000.nii.gz")
        nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), data / "labelsTr" / f"ball_{index}.nii.gz")
    facts = {"channel_names": {"0": "noise"}, "labels": {"background": 0, "ball": 1}, "numTraining": CASES}
    (data / "dataset.json").write_text(json.dumps({**facts, "file_ending": ".nii.gz"}))
    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
    preprocess([1], configurations=("3d_fullres",), num_processes=(1,))
    plans = json.loads((folder / "preprocessed" / "Dataset001_Balls" / "nnUNetPlans.json").read_text())
    plans["configurations"]["3d_fullres"] |= {"patch_size": list(PATCH), "batch_size": BATCH}
    plans["continue_training"] = False

    class Finest(torch.nn.Module):
        """The same net; nnU-Net wants a tensor."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net_of()[1]

        def forward(self, tiles: torch.Tensor) -> torch.Tensor:
            return self.net(tiles)[0]

    class Trainer(nnUNetTrainer):
        """Without deep supervision."""

        def __init__(
            self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device
        ) -> None:
            super().__init__(plans, configuration, fold, dataset_json, device)
            self.enable_deep_supervision = False

        @staticmethod
        def build_network_architecture(*_: Any, **__: Any) -> torch.nn.Module:
            return Finest()

    device = torch.device("cpu")
    trainer = Trainer(plans, "3d_fullres", 0, json.loads((data / "dataset.json").read_text()), device)
    trainer.initialize()
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # patches come from this process
    batches, _ = trainer.get_dataloaders()
    trainer.network.train()
    times = []
    for _ in range(steps + WARM):
        trainer.train_step(next(batches))
        times.append(time.process_time())
    return {"seconds": pace(times)}


WAYS = {"hyoid": with_hyoid, "MONAI": with_monai, "nnU-Net": with_nnunet}


def learn(who: str, precision: str, steps: int) -> None:
    """Print the figures of one run as JSON."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        print("\n" + json.dumps(WAYS[who](steps, precision, Path(folder))))


def attempt(who: str, precision: str, steps: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--steps", str(steps), "--learn", who, precision]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--learn", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    need("monai", "nnunetv2")
    warnings.simplefilter("ignore")
    if options.learn:
        learn(*options.learn, options.steps)
        return
    rounds = [{run: attempt(*run, options.steps) for run in RUNS} for _ in range(options.repeats)]
    found = {
        f"{who}, {precision}": {
            key: statistics.median(one[who, precision][key] for one in rounds) for key in rounds[0][who, precision]
        }
        for who, precision in RUNS
    }
    ours = found["hyoid, bf16-mixed"]["seconds"]
    print("| who | s a step | steps/s | times hyoid | waiting, % |\n|---|---|---|---|---|")
    for who, row in sorted(found.items(), key=lambda item: item[1]["seconds"]):
        waiting = f"{100 * row['waiting']:.1f}" if "waiting" in row else ""
        print(f"| {who} | {row['seconds']:.2f} | {1 / row['seconds']:.2f} | {row['seconds'] / ours:.1f} | {waiting} |")
    if options.into:
        facts = {name: version(name) for name in ("torch", "monai", "nnunetv2", "batchgeneratorsv2")}
        told = {"patch": PATCH, "batch": BATCH, "channels": CHANNELS, "facts": facts, "runs": found}
        options.into.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
