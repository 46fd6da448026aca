"""One volume from file to file with the same trained net: hyoid's engines beside MONAI and nnU-Net, in the same run.

    OMP_NUM_THREADS=1 python benchmarks/infer.py [--size 128] [--repeats 3] [--into benchmarks/results/infer.json]

A 3D U-Net of nnU-Net's widths, which first learns for a few minutes to find balls in noise; patches of 64^3 with half a
patch of overlap and Gaussian blending, a background and two structures. Everyone has the defaults of its toolkit:
hyoid's tiles grow where that saves work, and one row holds them at the patch. Reading, normalising, the net, blending,
deciding and writing count, start-up and the making of an engine do not (the first case, which includes them, is told
apart; of `auto` the first two, since it lets torch answer until an engine pays). One core, time of the processor, all
in turn, the median of the repeats. nnU-Net takes part where it is installed.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from plainly import need, run_plainly

PATCH, CHANNELS = (64, 64, 64), (32, 64, 128, 256)
LEARNING_STEPS = 200


def volume(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright and dark balls in noise, float32, and their labels."""
    from scipy.ndimage import gaussian_filter

    draw = np.random.default_rng(seed)
    labels = np.zeros((size,) * 3, np.uint8)
    places = np.indices(labels.shape, np.float32)
    for number in range(max(4, (size // 24) ** 3)):
        centre, radius = draw.uniform(0, size, 3), draw.uniform(5, 12)
        inside = ((places - centre[:, None, None, None].astype(np.float32)) ** 2).sum(0) < radius**2
        labels[inside] = 1 + number % 2
    image = np.choose(labels, (0, 1, -1)) + draw.normal(0, 0.6, labels.shape)
    return gaussian_filter(image, 1).astype(np.float32) * 1000, labels


def write(path: Path, array: np.ndarray) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(array, np.diag([1.5, 1.5, 1.5, 1.0])), path)


def learned(net: Any) -> Any:
    """The net, once it has learned to find balls."""
    from hyoid.losses import losses

    loss, patches = losses.build("dice_ce"), drawn(seed=1)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimiser, LEARNING_STEPS, 0.9)
    net.train()
    for image, labels in islice(patches, LEARNING_STEPS):
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(image[None])[0]
        optimiser.zero_grad()
        loss(logits.float(), labels[None].long()).backward()
        optimiser.step()
        schedule.step()
    return net.eval().requires_grad_(False)


def drawn(seed: int, shape: tuple[int, ...] = PATCH) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Patches (1, *shape) of a volume of their own, and their labels, without end."""
    image, labels = volume(96, seed)
    image, draw = (image - image.mean()) / image.std(), np.random.default_rng(seed)
    while True:
        low = draw.integers(0, 97 - np.array(shape))
        box = tuple(slice(first, first + length) for first, length in zip(low, shape, strict=True))
        yield torch.from_numpy(image[box])[None], torch.from_numpy(labels[box])


def calibrating(part: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Patches to calibrate the engine of 8 bits with, and to judge engines with."""
    return torch.stack([image for image, _ in islice(drawn(1 if part == "training" else 2, shape), 8)])


def net_and_plan() -> Any:
    """The trained net, its task, and what else the predictor needs to know, by precision."""
    from hyoid.core.labels import Labels
    from hyoid.nets import build_spec
    from hyoid.planning.plan import Plan
    from hyoid.preparation.pipeline import PreparationSettings
    from hyoid.tasks import task_for

    torch.manual_seed(0)
    spec = build_spec("nnunet_plain", 3, 1, 3, channels=CHANNELS)
    preparation = PreparationSettings()
    fields = {"net": spec, "net_name": "nnunet_plain", "patch": PATCH, "batch": 2, "policy": "none"}

    def plan(precision: str) -> Plan:
        return Plan.model_construct(**fields, precision=precision, preparation=preparation, mirror_axes=())

    return learned(spec.build()), task_for(Labels.of({1: "a", 2: "b"})), plan


def by_windows(answer: Callable[[torch.Tensor], torch.Tensor], source: Path, target: Path) -> None:
    """Somebody's sliding windows, (1, *S) to logits (K, *S); read and written with nibabel."""
    import nibabel

    image = nibabel.load(source)
    array = np.asarray(image.dataobj, np.float32)
    array = (array - array.mean()) / array.std()
    with torch.inference_mode():
        labels = answer(torch.from_numpy(array)[None]).argmax(0).numpy().astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(labels, image.affine), target)


def monai_windows(net: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    from monai.inferers import sliding_window_inference

    return lambda image: sliding_window_inference(
        image[None], PATCH, 2, lambda tiles: net(tiles)[0], overlap=0.5, mode="gaussian"
    )[0]


def nnunet_windows(net: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from hyoid.engines.torch import Finest

    predictor = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.network = Finest(net)
    predictor.configuration_manager = SimpleNamespace(patch_size=PATCH)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=3)
    return predictor.predict_sliding_window_return_logits


def by_hyoid(predictor: Any, source: Path, target: Path) -> None:
    """A file to a file."""
    from hyoid.core.case import Case
    from hyoid.files.formats import read_image, write_image

    write_image(target, predictor.predict(Case("case", read_image(source))), like=source)


def contenders(folder: Path) -> dict[str, Callable[[Path, Path], None]]:
    """Everyone by name."""
    from hyoid.prediction.predictor import Predictor
    from hyoid.prediction.settings import PredictionSettings

    found: dict[str, Callable[[Path, Path], None]] = {}
    net, task, plan = net_and_plan()
    for precision, backend, whole in (
        ("32-true", "torch", 2),
        ("32-true", "onnx", 2),
        ("32-true", "openvino", 2),
        ("bf16-mixed", "torch", 2),
        ("bf16-mixed", "openvino", 2),
        ("bf16-mixed", "auto", 1),
        ("bf16-mixed", "auto", 2),
        ("bf16-mixed", "openvino_int8", 2),
    ):
        settings = PredictionSettings(backend=backend, mirror=False, whole=whole)
        kept = (folder / f"{backend}_{whole}", precision)
        predictor = Predictor.of(net, task, plan(precision), settings, kept=kept, patches=calibrating)
        held = ", tiles of a patch" if whole == 1 else ""
        found[f"hyoid, {backend}, {precision}{held}"] = partial(by_hyoid, predictor)
    found["MONAI, torch, 32-true"] = partial(by_windows, monai_windows(net))
    if find_spec("nnunetv2"):
        found["nnU-Net, torch, 32-true"] = partial(by_windows, nnunet_windows(net))
    return found


def dice(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean over the two structures."""
    pairs = [(ours == label, theirs == label) for label in (1, 2)]
    return float(np.mean([2 * (a & b).sum() / max(1, a.sum() + b.sum()) for a, b in pairs]))


def measure(size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of everyone, and the mean Dice of the answers; each repeat is another volume."""
    import nibabel

    with tempfile.TemporaryDirectory() as name:
        folder, everyone = Path(name), contenders(Path(name) / "engines")
        times: dict[str, list[float]] = {who: [] for who in everyone}
        scores: dict[str, list[float]] = {who: [] for who in everyone}
        for repeat in range(repeats + 1):
            image, labels = volume(size, seed=10 + repeat)
            write(folder / "case.nii.gz", image)
            for who, work in everyone.items():
                begin = time.process_time()
                for _ in range(2 if repeat == 0 and ", auto," in who else 1):  # auto makes an engine once that pays
                    work(folder / "case.nii.gz", folder / "answer.nii.gz")
                times[who].append(time.process_time() - begin)
                scores[who].append(dice(np.asarray(nibabel.load(folder / "answer.nii.gz").dataobj), labels))
    return {
        who: {
            "seconds": round(statistics.median(some[1:]), 2),
            "first": round(some[0], 2),
            "dice": round(statistics.fmean(scores[who]), 4),
        }
        for who, some in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    need("monai", "onnxruntime", "openvino", "nncf")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = measure(options.size, options.repeats)
    peer = found["MONAI, torch, 32-true"]["seconds"]
    print("| who | s a case | MONAI's time over it | first case, s | Dice |\n|---|---|---|---|---|")
    for who, row in sorted(found.items(), key=lambda item: item[1]["seconds"]):
        print(
            f"| {who} | {row['seconds']:.1f} | {peer / row['seconds']:.1f} | {row['first']:.1f} | {row['dice']:.4f} |"
        )
    if options.into:
        told = {"size": options.size, "torch": torch.__version__, "cases": found}
        options.into.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
