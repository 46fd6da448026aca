"""One volume from file to file with the same net: MONAI's sliding windows beside each engine of hyoid, in the same run.

    OMP_NUM_THREADS=1 python benchmarks/infer.py [--size 128] [--repeats 3] [--into benchmarks/results/infer.json]

A 3D U-Net with random weights, patches of 64^3 with half overlap and Gaussian blending, a background and two
structures; reading, normalising, the net, blending, deciding and writing count, start-up and the making of an engine
do not (it is told apart). One core, time of the processor, all in turn, the median of the repeats. "Alike" is the Dice
of the labels with those of hyoid's torch in 32 bits.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

PATCH, CHANNELS = (64, 64, 64), (16, 32, 64, 128)


def volume(path: Path, size: int) -> None:
    """A file of smooth noise."""
    import nibabel
    from scipy.ndimage import gaussian_filter

    array = gaussian_filter(np.random.default_rng(0).standard_normal((size, size, size)), 3) * 1000
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), np.diag([1.5, 1.5, 1.5, 1.0])), path)


def net_of(precision: str) -> Any:
    """The net and what the predictor needs to know of it."""
    from hyoid.core.labels import Labels
    from hyoid.nets import build_spec
    from hyoid.planning.plan import Plan
    from hyoid.preparation.pipeline import PreparationSettings
    from hyoid.tasks import task_for

    torch.manual_seed(0)
    spec = build_spec("nnunet_plain", 3, 1, 3, channels=CHANNELS)
    preparation = PreparationSettings()
    fields = {"net": spec, "net_name": "nnunet_plain", "patch": PATCH, "batch": 2, "precision": precision}
    plan = Plan.model_construct(**fields, preparation=preparation, mirror_axes=(), policy="none")
    return spec.build().eval().requires_grad_(False), task_for(Labels.of({1: "a", 2: "b"})), plan


def by_monai(net: Any, source: Path, target: Path) -> None:
    """MONAI's sliding windows on the same net, read and written with nibabel."""
    import nibabel
    from monai.inferers import sliding_window_inference

    image = nibabel.load(source)
    array = np.asarray(image.dataobj, np.float32)
    array = (array - array.mean()) / array.std()
    with torch.inference_mode():
        tiles = torch.from_numpy(array)[None, None]
        maps = sliding_window_inference(tiles, PATCH, 2, lambda x: net(x)[0], overlap=0.5, mode="gaussian")
        labels = maps.argmax(1)[0].numpy().astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(labels, image.affine), target)


def by_hyoid(predictor: Any, source: Path, target: Path) -> None:
    """A file to a file."""
    from hyoid.core.case import Case
    from hyoid.io.formats import read_image, write_image

    write_image(target, predictor.predict(Case("case", read_image(source))), like=source)


def contenders(folder: Path) -> dict[str, Callable[[Path, Path], None]]:
    """Everyone by name."""
    from hyoid.prediction.predictor import PredictionSettings, Predictor

    found: dict[str, Callable[[Path, Path], None]] = {}
    for precision, backend in (
        ("32-true", "torch"),
        ("32-true", "onnx"),
        ("32-true", "openvino"),
        ("bf16-mixed", "torch"),
        ("bf16-mixed", "openvino"),
    ):
        net, task, plan = net_of(precision)
        settings = PredictionSettings(backend=backend, mirror=False, whole=0)
        predictor = Predictor(net, task, plan, settings, kept=(folder, precision))
        found[f"hyoid, {backend}, {precision}"] = lambda a, b, p=predictor: by_hyoid(p, a, b)
    net = net_of("32-true")[0]
    found["MONAI, torch, 32-true"] = lambda a, b: by_monai(net, a, b)
    return found


def dice(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean over the two structures."""
    pairs = [(ours == label, theirs == label) for label in (1, 2)]
    return float(np.mean([2 * (a & b).sum() / max(1, a.sum() + b.sum()) for a, b in pairs]))


def measure(size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of everyone, and how alike the answers are."""
    import nibabel

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volume(folder / "case.nii.gz", size)
        times: dict[str, list[float]] = {}
        everyone = contenders(folder / "engines")
        for _ in range(repeats + 1):
            for who, work in everyone.items():
                begin = time.process_time()
                work(folder / "case.nii.gz", folder / f"{who}.nii.gz")
                times.setdefault(who, []).append(time.process_time() - begin)
        answers = {who: np.asarray(nibabel.load(folder / f"{who}.nii.gz").dataobj) for who in times}
    reference = answers["hyoid, torch, 32-true"]
    return {
        who: {
            "seconds": round(statistics.median(some[1:]), 2),
            "first": round(some[0], 2),
            "alike": round(dice(answers[who], reference), 4),
        }
        for who, some in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = measure(options.size, options.repeats)
    peer = found["MONAI, torch, 32-true"]["seconds"]
    print("| who | s a case | MONAI's time over it | first case, s | Dice with torch |\n|---|---|---|---|---|")
    for who, row in sorted(found.items(), key=lambda item: item[1]["seconds"]):
        print(
            f"| {who} | {row['seconds']:.1f} | {peer / row['seconds']:.1f} | {row['first']:.1f} | {row['alike']:.4f} |"
        )
    if options.into:
        told = {"size": options.size, "torch": torch.__version__, "cases": found}
        options.into.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
