"""How fast metrics are against MONAI, surface-distance and nnU-Net, in the same run, with equal numbers.

    OMP_NUM_THREADS=1 python benchmarks/metrics.py [--nnunet PYTHON] [--into benchmarks/results]

*Pair*: 13 organs in 256x256x200 voxels on one core; repeats are interleaved and the median of the process time is
taken, so that other work on the machine falls on all alike; one-hot arrays are made before. Memory is the largest
growth of a process of its own that starts from the two label maps. *Folders*: the same as compressed files, judged by
`hyoid evaluate` and, when a Python that has nnunetv2 is named, by the function behind `nnUNetv2_evaluate_folder`;
process and wall time a case, start-up left out.
"""

import argparse
import ctypes
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from plainly import need, run_plainly

SHAPE, SPACING, ORGANS, TOLERANCE = (256, 256, 200), (1.5, 1.5, 2.0), 13, 2.0
Numbers = dict[str, list[float]]


def label_maps(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and reference: wobbly ellipsoids of many sizes, each a little off."""
    from scipy.ndimage import gaussian_filter, zoom

    rng = np.random.default_rng(seed)
    coarse = [-(-n // 8) for n in shape]

    def wobble(sigma: float) -> np.ndarray:
        noise = gaussian_filter(rng.standard_normal(coarse).astype(np.float32), sigma)
        grown = zoom(noise / noise.std(), 8, order=1)
        return grown[tuple(slice(n) for n in shape)]

    both, apart = wobble(1.5), wobble(1.0)
    prediction, reference = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    places = [(x, y, z) for z in (0.27, 0.73) for y in (0.2, 0.5, 0.8) for x in (0.2, 0.5, 0.8)]
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    for value, place in enumerate((places[i] for i in rng.permutation(len(places))[:ORGANS]), 1):
        radius = np.array(shape) * rng.uniform(0.05, 0.15, 3)
        off = [((axis - n * at) / r) ** 2 for axis, n, at, r in zip(axes, shape, place, radius, strict=True)]
        distance = np.sqrt(sum(off[1:], off[0]))
        reference[distance + 0.12 * both < 1] = value
        prediction[distance + 0.12 * both + 0.08 * apart < 1] = value
    return prediction, reference


def with_hyoid(names: tuple[str, ...]) -> Callable[[np.ndarray, np.ndarray], Numbers]:
    """Ours: metrics of all organs from label maps."""
    from hyoid.core.labels import Labels
    from hyoid.evaluation import EvaluationSettings
    from hyoid.metrics.pair import pairs_of

    labels = Labels.of({value: f"organ {value}" for value in range(1, ORGANS + 1)})
    chosen = EvaluationSettings(metrics=names, tolerance_mm=TOLERANCE).build()

    def work(prediction: np.ndarray, reference: np.ndarray) -> Numbers:
        found: Numbers = {name: [] for name in names}
        for _, pair in pairs_of(prediction, reference, labels, SPACING):
            for metric in chosen:
                found[metric.name].append(metric.of(pair))
        return found

    return work


def with_monai(prediction: np.ndarray, reference: np.ndarray) -> Numbers:
    """MONAI: three functions on one-hot arrays."""
    return monai_of(one_hot(prediction), one_hot(reference))


def one_hot(array: np.ndarray) -> "torch.Tensor":  # noqa: F821
    """What MONAI takes, (1, 13, *S)."""
    import torch
    from monai.networks.utils import one_hot as encode

    return encode(torch.from_numpy(array)[None, None], ORGANS + 1)[:, 1:]


def monai_of(prediction: "torch.Tensor", reference: "torch.Tensor") -> Numbers:  # noqa: F821
    """MONAI's three functions, one-hot arrays given."""
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    options = {"include_background": True, "spacing": SPACING}
    hd95 = compute_hausdorff_distance(prediction, reference, percentile=95, **options)
    nsd = compute_surface_dice(prediction, reference, class_thresholds=[TOLERANCE] * ORGANS, **options)
    assd = compute_average_surface_distance(prediction, reference, symmetric=True, **options)
    return {"hd95": hd95[0].tolist(), "nsd": nsd[0].tolist(), "assd": assd[0].tolist()}


def with_surface_distance(prediction: np.ndarray, reference: np.ndarray) -> Numbers:
    """surface-distance: one set of distances for each organ, read by three functions."""
    import surface_distance as peer

    found: Numbers = {"hd95_area": [], "nsd_area": [], "assd": []}
    for value in range(1, ORGANS + 1):
        distances = peer.compute_surface_distances(reference == value, prediction == value, SPACING)
        found["hd95_area"].append(peer.compute_robust_hausdorff(distances, 95))
        found["nsd_area"].append(peer.compute_surface_dice_at_tolerance(distances, TOLERANCE))
        found["assd"].append(float(np.mean(peer.compute_average_surface_distance(distances))))
    return found


def monai_dice(prediction: "torch.Tensor", reference: "torch.Tensor") -> Numbers:  # noqa: F821
    """MONAI's Dice, one-hot arrays given."""
    from monai.metrics import compute_dice

    return {"dice": compute_dice(prediction, reference, include_background=True)[0].tolist()}


SURFACES, AREAS = ("hd95", "nsd", "assd"), ("hd95_area", "nsd_area", "assd")
WAYS: dict[str, Callable[[], Callable[[np.ndarray, np.ndarray], Numbers]]] = {
    "hyoid": lambda: with_hyoid(SURFACES),
    "hyoid, by area": lambda: with_hyoid(AREAS),
    "MONAI": lambda: with_monai,
    "surface-distance": lambda: with_surface_distance,
}


def process_times(repeats: int) -> tuple[dict[str, float], dict[str, Numbers]]:
    """Median seconds of each way on one core, interleaved, and what it found; one-hot arrays are made before."""
    from hyoid.metrics import DEFAULT_METRICS, metrics

    prediction, reference = label_maps()
    hot = one_hot(prediction), one_hot(reference)

    def on_maps(run: Callable[[np.ndarray, np.ndarray], Numbers]) -> Callable[[], Numbers]:
        return lambda: run(prediction, reference)

    work = {name: on_maps(build()) for name, build in WAYS.items() if name != "MONAI"}
    work["MONAI"] = lambda: monai_of(*hot)
    work["hyoid, Dice"] = on_maps(with_hyoid(("dice",)))
    work["MONAI, Dice"] = lambda: monai_dice(*hot)
    work["hyoid, default table"] = on_maps(with_hyoid(DEFAULT_METRICS))
    work["hyoid, every metric of masks"] = on_maps(with_hyoid(tuple(metrics)))
    found = {name: run() for name, run in work.items() if not name.startswith("MONAI")}  # compiles
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, run in work.items():
            begin = time.process_time()
            found[name] = run()
            times[name].append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in times.items()}, found


def growth(name: str) -> float:
    """MB that one way needs beside the label maps, in a process of its own."""
    line = subprocess.run(
        [sys.executable, __file__, "--memory", name], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    return float(line)


def measure_growth(name: str) -> float:
    """Largest resident memory above the level before the call, looked at every millisecond (Linux with glibc)."""
    import psutil

    work, this = WAYS[name](), psutil.Process()
    small = label_maps(shape=(48, 48, 40))
    work(*small)
    given = label_maps()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back, so that it cannot serve unseen
    before, peak, done = this.memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, this.memory_info().rss)
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work(*given)
    done.set()
    watcher.join()
    return (peak - before) / 1e6


def write_folders(root: Path, cases: int) -> None:
    """Compressed label maps and the names of the organs."""
    from hyoid.core.case import Image
    from hyoid.core.grid import Grid
    from hyoid.files.formats import write_image

    (root / "labels.yaml").write_text("".join(f"{value}: organ {value}\n" for value in range(1, ORGANS + 1)))
    for seed in range(cases):
        for folder, array in zip(("predictions", "references"), label_maps(seed), strict=True):
            (root / folder).mkdir(exist_ok=True)
            image = Image(array[None], Grid.plain(SHAPE, SPACING), "labels")
            write_image(root / folder / f"case_{seed}.nii.gz", image)


def judge_with_hyoid(root: Path, workers: int) -> tuple[float, float, float]:
    """Process seconds and wall seconds a case, and the mean Dice."""
    from hyoid.evaluation import EvaluationSettings, evaluate_folders

    settings = EvaluationSettings(metrics=("dice", "iou"))
    begin, wall = time.process_time(), time.perf_counter()
    found = evaluate_folders(root / "predictions", root / "references", settings=settings, workers=workers)
    spent = time.process_time() - begin, time.perf_counter() - wall
    return spent[0] / len(found.cases), spent[1] / len(found.cases), found.summary("mean", "dice").spread.mean


NNUNET = """
import json, resource, sys, time
from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

if __name__ == "__main__":
    root, workers, organs, cases = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    cpu = lambda: sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, who))
    begin, wall = cpu(), time.perf_counter()
    places, labels = (root + "/references", root + "/predictions"), list(range(1, organs + 1))
    found = compute_metrics_on_folder(*places, None, SimpleITKIO(), ".nii.gz", labels, None, workers)
    print(json.dumps([(cpu() - begin) / cases, (time.perf_counter() - wall) / cases, found["foreground_mean"]["Dice"]]))
"""


def judge_with_nnunet(python: str, root: Path, workers: int, cases: int) -> tuple[float, float, float]:
    """The same from nnU-Net; its process pool starts anew in each call, which its own command does too."""
    script = root / "judge.py"
    script.write_text(NNUNET)
    command = [python, str(script), str(root), str(workers), str(ORGANS), str(cases)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    cpu, wall, dice = json.loads(done.stdout.strip().splitlines()[-1])
    return cpu, wall, dice


def folders(python: str | None, cases: int, repeats: int, workers: int) -> dict[str, dict[str, float]]:
    """Median process and wall seconds a case of both, interleaved."""
    spent: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_folders(root, cases)
        judge_with_hyoid(root, workers)
        for _ in range(repeats):
            spent.setdefault("hyoid", []).append(judge_with_hyoid(root, workers))
            if python:
                spent.setdefault("nnU-Net", []).append(judge_with_nnunet(python, root, workers, cases))
    keys = ("process_seconds", "wall_seconds", "dice")
    return {
        name: {key: statistics.median(column) for key, column in zip(keys, zip(*rows, strict=True), strict=True)}
        for name, rows in spent.items()
    }


def check_equal(found: dict[str, Numbers]) -> None:
    """Equal conventions give equal numbers."""
    for name in SURFACES:
        np.testing.assert_allclose(found["hyoid"][name], found["MONAI"][name], rtol=1e-4)
    for name in AREAS[:2]:
        np.testing.assert_allclose(found["hyoid, by area"][name], found["surface-distance"][name], rtol=1e-6)
    np.testing.assert_allclose(found["hyoid, Dice"]["dice"], found["MONAI, Dice"]["dice"], rtol=1e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--nnunet", help="a Python that has nnunetv2")
    parser.add_argument("--into", type=Path, help="folder for metrics.json")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    need("monai", "surface_distance")
    warnings.simplefilter("ignore")
    if options.memory:
        print(measure_growth(options.memory))
        return
    times, found = process_times(options.repeats)
    check_equal(found)
    memory = {name: growth(name) for name in WAYS}
    print(f"{ORGANS} organs in {'x'.join(map(str, SHAPE))} voxels; process seconds on one core, MB")
    for name, seconds in times.items():
        grown = f"{memory[name]:8.0f} MB" if name in memory else ""
        print(f"{name:32} {seconds:8.3f} s{grown}")
    print(f"MONAI / hyoid {times['MONAI'] / times['hyoid']:.1f}, memory {memory['MONAI'] / memory['hyoid']:.1f}")
    by_area = times["surface-distance"] / times["hyoid, by area"]
    print(f"surface-distance / hyoid {times['surface-distance'] / times['hyoid']:.1f}, by area {by_area:.1f}")
    judged = folders(options.nnunet, options.cases, options.repeats, options.workers)
    for name, one in judged.items():
        spent = f"{one['process_seconds']:8.3f} s {one['wall_seconds']:8.3f} s wall"
        print(f"{name:32} {spent} a case, Dice {one['dice']:.6f}")
    if "nnU-Net" in judged:
        ratios = [judged["nnU-Net"][key] / judged["hyoid"][key] for key in ("process_seconds", "wall_seconds")]
        print(f"nnU-Net / hyoid {ratios[0]:.1f} in process time, {ratios[1]:.1f} in wall time")
    if options.into:
        peers = {name: version(name) for name in ("monai", "surface-distance", "numpy", "torch")}
        facts = {"python": platform.python_version(), "machine": platform.machine(), **peers}
        result = {"facts": facts, "process_seconds": times, "grown_mb": memory, "folders": judged}
        options.into.mkdir(parents=True, exist_ok=True)
        (options.into / "metrics.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    run_plainly(main)
