"""Every leaf of experiment.yaml acts: another value changes what a run gives, or is refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open

import hyoid
from hyoid.core.errors import HyoidError
from hyoid.datasets.phantoms import write_phantoms

FASTER = "changes time or memory, not what the run gives"
LONGER = "acts in trainings that last longer than a few steps"
ELSEWHERE = {
    "device": "acts on machines with another device",
    "training.patience": LONGER,
    "training.validation": LONGER,
    "training.checkpoint_seconds": LONGER,
    "training.workers": FASTER,
    "training.augment_on": FASTER,
    "training.compile": FASTER,
    "training.deterministic": "acts on GPUs",
    "prediction.batch": FASTER,
    "prediction.memory_gb": FASTER,
    "plan.net.recompute": FASTER,
    "plan.preparation.target": "acts in tasks that learn from images or fields",
}
"""Leaves that do not change what this run gives, and why."""

OTHER: dict[str, Any] = {
    "data": "elsewhere",
    "extensions": ["missing.py"],
    "task": "regions",
    "labels.names": ["liver", "right_kidney", "spine"],
    "labels.values": [[2], [1], [3]],
    "labels.ignore": 3,
    "labels.paint": [3, 2, 1],
    "labels.codes": [["SCT", "10200004", "Liver"], None, None],
    "planning.preset": "nnunet",
    "planning.memory_gb": 4.0,
    "planning.before": "nowhere",
    "planning.dims": 2,
    "planning.orientation": "RAS",
    "planning.spacing_mm": [2.0, 2.0, 2.0],
    "planning.extent": 20.0,
    "planning.crop": "content",
    "planning.intensity": ["none"],
    "planning.patch": [8, 16, 16],
    "planning.net": "unet_original",
    "planning.channels": [4, 4],
    "planning.norm": "batch",
    "planning.recompute": True,
    "planning.deep_supervision": True,
    "planning.precision": "32-true",
    "planning.policy": "none",
    "planning.mirror_axes": [0],
    "planning.foreground_share": 1.0,
    "planning.batch_dice": True,
    "training.minutes": 0.01,
    "training.regime": "nothing",
    "training.regime_options": {"nothing": 1},
    "training.turns": {"net": {"learning_rate": 0.1}},
    "training.loss": "dice",
    "training.loss_options": {"smooth": 1.0},
    "training.head_weights": [1.0, 3.0],
    "training.optimiser.name": "sgd",
    "training.optimiser.betas": [0.5, 0.9],
    "training.optimiser.learning_rate": 0.1,
    "training.optimiser.weight_decay": 0.5,
    "training.optimiser.schedule": "constant",
    "training.optimiser.clip": 0.1,
    "training.ema": 0.0,
    "training.encoder_weights": "resnet34",
    "training.start_from": "nowhere",
    "training.freeze": ["encoder.*"],
    "training.learning_rates": {"encoder.*": 0.1},
    "training.sampling": "uniform",
    "training.voxel_weights": "touching",
    "prediction.mirror": True,
    "prediction.format": "nrrd",
    "prediction.precision": "32-true",
    "prediction.backend": "onnx",
    "prediction.refine": "dense_crf",
    "prediction.overlap": 0.9,
    "prediction.whole": 100.0,
    "prediction.depth": 1,
    "prediction.largest_component": ["left_kidney", "right_kidney", "spine"],
    "evaluation.metrics": ["dice"],
    "evaluation.rules.both_empty": "exclude",
    "evaluation.rules.one_empty": "exclude",
    "evaluation.tolerance_mm": 3.0,
    "evaluation.options": {"nsd": {"tolerance_mm": 3.0}},
    "evaluation.objects": "pieces",
    "plan.dims": 2,
    "plan.preparation.orientation": "RAS",
    "plan.preparation.crop": "none",
    "plan.preparation.intensity": [{"scheme": "none"}],
    "plan.preparation.spacing_mm": [3.0, 1.5, 1.5],
    "plan.preparation.unit": "voxel",
    "plan.preparation.extent": 20.0,
    "plan.preparation.order": 1,
    "plan.preparation.before": {"run": "nowhere", "made_by": "0", "structures": ["spine"]},
    "plan.patch": [4, 16, 16],
    "plan.net.kind": "own",
    "plan.net.dims": 2,
    "plan.net.channels": [4, 6, 8],
    "plan.net.blocks_encoder": [1, 2, 2],
    "plan.net.blocks_decoder": [1, 2],
    "plan.net.kernels": [[1, 3, 3], [1, 3, 3], [3, 3, 3]],
    "plan.net.strides": [[1, 1, 1], [1, 1, 2], [1, 2, 1]],
    "plan.net.decoder_channels": [6, 8],
    "plan.net.encoder": "resnet",
    "plan.net.stem": "plain",
    "plan.net.block": "residual",
    "plan.net.block_decoder": "residual",
    "plan.net.down": "max",
    "plan.net.up": "linear",
    "plan.net.up_channels": "same",
    "plan.net.skip": "attention_gate",
    "plan.net.fuse": "add",
    "plan.net.decoder": "nested",
    "plan.net.head": {"name": "conv", "kernel": 3},
    "plan.net.padding": "valid",
    "plan.net.norm": "batch",
    "plan.net.act": "relu",
    "plan.net.order": "CAN",
    "plan.net.bias": True,
    "plan.net.dropout": [0.5, 0.5, 0.5],
    "plan.net.drop": "elements",
    "plan.net.answer": "mean",
    "plan.net.supervised": 1,
    "plan.precision": "32-true",
    "plan.policy": "none",
    "plan.mirror_axes": [1],
    "plan.foreground_share": 1.0,
}
"""Another value of leaves for which it cannot be guessed."""

DEEP = {"plan.net.deep_supervision": True}
CRF = {"prediction.refine": "dense_crf"}
TILES = {"prediction.whole": 0, "plan.patch": [8, 16, 16]}
WITH: dict[str, dict[str, Any]] = {
    "labels.codes": {"prediction.format": "seg.nrrd"},
    "training.optimiser.momentum": {"training.optimiser.name": "sgd"},
    "prediction.overlap": TILES,
    "prediction.whole": TILES,
    "plan.net.drop": {"plan.net.dropout": [0.5, 0.5, 0.5]},
    "plan.net.answer": DEEP,
    "plan.net.supervised": DEEP,
    **{
        f"prediction.dense_crf.{name}": CRF
        for name in ("appearance", "appearance_reach", "contrast", "smoothness", "smoothness_reach", "steps")
    },
}
"""What else has to be set for a leaf to act."""


def leaves(tree: dict[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value


def another(leaf: str, value: Any) -> Any:
    if leaf in OTHER:
        return OTHER[leaf]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 or 0.5
    raise AssertionError(f"{leaf} = {value!r}: say in this test what else it may be.")


def put(tree: dict[str, Any], leaf: str, value: Any) -> None:
    *groups, last = leaf.split(".")
    for group in groups:
        tree = tree[group]
    tree[last] = value


def outcome(run: Path) -> str:
    """A hash of weights, answers, report and papers of a run."""
    digest = hashlib.sha256()
    with safe_open(hyoid.train(run), "np") as weights:
        for name in sorted(weights.keys()):
            digest.update(name.encode() + weights.get_tensor(name).tobytes())
    for answer in sorted(hyoid.predict(run)):
        digest.update(answer.name.encode() + hyoid.read_image(answer, "labels").array.tobytes())
        digest.update(answer.read_bytes() if answer.name.endswith(".seg.nrrd") else b"")
    hyoid.evaluate(run)
    digest.update((run / "cases.csv").read_bytes())
    digest.update(json.dumps(json.loads((run / "report.json").read_text()), sort_keys=True).encode())
    digest.update(hyoid.cite(run).encode())
    digest.update(str(sorted(path.name for path in (run / "weights").iterdir())).encode())
    return digest.hexdigest()


class Runs:
    """A planned run, and what copies of it with other settings give."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.base = folder, folder / "base"
        data = write_phantoms(folder / "data", "organs", 4, 24)
        for file in (data / "images").iterdir():
            image = hyoid.read_image(file)
            image.array[:, :3] = 0  # air, which may be cropped
            hyoid.write_image(file, image)
        small = [
            "planning.channels=[4,8,8]",
            "planning.batch=2",
            "training.tensorboard=false",
            "threads=1",
            "split_seed=1",
        ]
        hyoid.plan(data, into=self.base, steps=2, seed=1, changes=small)
        self.settings = yaml.safe_load((self.base / "experiment.yaml").read_text("utf-8"))
        self.known: dict[str, str] = {}

    def give(self, changes: dict[str, Any]) -> str:
        """What the run gives with these changes; a refusal is its sentence."""
        key = json.dumps(changes, sort_keys=True)
        if key not in self.known:
            self.known[key] = self._give(changes)
        return self.known[key]

    def _give(self, changes: dict[str, Any]) -> str:
        run = Path(shutil.copytree(self.base, self.folder / "changed"))
        settings = json.loads(json.dumps(self.settings))
        for leaf, value in changes.items():
            put(settings, leaf, value)
        (run / "experiment.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
        try:
            return outcome(run)
        except HyoidError as error:
            return f"refused: {error}"
        finally:
            shutil.rmtree(run)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_leaf_of_the_settings_acts_or_is_refused(tmp_path):
    runs = Runs(tmp_path)
    silent = []
    for leaf, value in leaves(runs.settings):
        if leaf in ELSEWHERE:
            continue
        beside = WITH.get(leaf, {})
        assert another(leaf, value) != value, leaf
        before, after = runs.give(beside), runs.give(beside | {leaf: another(leaf, value)})
        assert not before.startswith("refused"), before
        assert not after.startswith("refused") or after.endswith("."), after
        if before == after:
            silent.append(leaf)
    assert not silent
