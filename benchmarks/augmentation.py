"""Augmented patches with labels a second: hyoid beside MONAI, TorchIO and batchgeneratorsv2, in the same run.

    OMP_NUM_THREADS=1 python benchmarks/augmentation.py [--repeats 5] [--into benchmarks/results/augmentation.json]

A patch and its labels (four values) are cut from an image in memory, turned, scaled and bent, then get noise, blur and
gamma, and are mirrored; every step happens every time, image linear. hyoid and batchgeneratorsv2 interpolate labels by
the shares of their values, the others take the nearest voxel, which costs less. MONAI appears with its elastic
deformation and with its cheaper distorted grid; TorchIO cannot cut, so its patch lies in memory. One core, time of the
processor, all in turn, medians; the first call does not count. Single steps are told apart.
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plainly import need, run_plainly

Work = Callable[[], object]
STEPS = ("affine + elastic", "noise", "blur", "gamma", "mirror")


def sources(size: int) -> tuple[np.ndarray, np.ndarray]:
    """An image and its labels, a quarter larger than the patch."""
    shape = (size + size // 4,) * 3
    axes = np.meshgrid(*(np.linspace(0, 3 * np.pi, n) for n in shape), indexing="ij")
    waves = np.prod([np.sin(axis) for axis in axes], 0)
    noise = np.random.default_rng(0).standard_normal((1, *shape))
    labels = np.digitize(waves, [0.1, 0.3, 0.6])[None]
    return (waves[None] + 0.3 * noise).astype(np.float32), labels.astype(np.int32)


def by_hyoid(image: np.ndarray, labels: np.ndarray, size: int) -> dict[str, Work]:
    """Ours: the spatial steps are one warp, the others work in place."""
    from hyoid.augmentation.artefacts import Blur, Noise
    from hyoid.augmentation.elastic import ElasticGrid
    from hyoid.augmentation.intensity import Gamma
    from hyoid.augmentation.patches import Patch, augmented, cut_patch, needed_box
    from hyoid.augmentation.policies import Policy
    from hyoid.augmentation.spatial import Flip, Rotation, Scaling
    from hyoid.augmentation.transform import Frame, change

    warp = Rotation(degrees=30), Scaling(factor=(0.8, 1.2)), ElasticGrid(nodes=7, sigma_voxels=6)
    noise, blur = Noise(std=(0.1, 0.1)), Blur(sigma_voxels=(0.5, 1.5), channel_probability=1)
    frame = Frame((size,) * 3, (1.0,) * 3, (0, 1, 2), (0, 1, 2))
    rng = np.random.default_rng(0)
    shape, centre = image.shape[1:], [n // 2 for n in image.shape[1:]]

    def sample(spatial: tuple[Any, ...], intensity: tuple[Any, ...]) -> Work:
        policy = Policy("benchmark", frame, spatial, intensity)

        def work() -> Any:
            warp, changes = policy.draw(rng, centre, 1)
            start, box = needed_box(warp, shape)
            part = (slice(None), *map(slice, start, np.add(start, box)))
            return augmented(cut_patch(Patch(image[part], labels[part]), start, warp, changes))

        return work

    patch = torch.from_numpy(image[:, :size, :size, :size].copy())

    def alone(transform: Any) -> Work:
        policy = Policy("benchmark", frame, (), (transform,))
        return lambda: change(patch, policy.draw_intensity(rng, 1))

    return {
        "all": sample((*warp, Flip()), (noise, blur, Gamma())),
        "affine + elastic": sample(warp, ()),
        "noise": alone(noise),
        "blur": alone(blur),
        "gamma": alone(Gamma()),
        "mirror": sample((Flip(axis_probability=1),), ()),
    }


def by_monai(image: np.ndarray, labels: np.ndarray, size: int, elastic: bool) -> dict[str, Work]:
    """MONAI's dictionary transforms."""
    from monai import transforms as T

    both, modes = ("image", "label"), ("bilinear", "nearest")
    affine = {"prob": 1.0, "rotate_range": [0.5] * 3, "scale_range": [0.2] * 3, "spatial_size": (size,) * 3}
    common = {"mode": modes, "padding_mode": "zeros"}
    warp: Any
    if elastic:
        warp = T.Rand3DElasticd(both, (5, 7), (50, 150), **affine, **common)
    else:
        distortion = T.RandGridDistortiond(both, num_cells=5, prob=1.0, distort_limit=0.1, **common)
        warp = T.Compose([T.RandAffined(both, **affine, **common), distortion])
    sigma = {f"sigma_{axis}": (0.5, 1.5) for axis in "xyz"}
    steps = {
        "affine + elastic": warp,
        "noise": T.RandGaussianNoised(both[:1], prob=1.0, std=0.1),
        "blur": T.RandGaussianSmoothd(both[:1], prob=1.0, **sigma),
        "gamma": T.RandAdjustContrastd(both[:1], prob=1.0, gamma=(0.7, 1.5), retain_stats=True),
        "mirror": T.Compose([T.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3)]),
    }
    case = {"image": torch.from_numpy(image), "label": torch.from_numpy(labels)}
    return in_turn(steps, case, {name: tensor[:, :size, :size, :size] for name, tensor in case.items()})


def by_torchio(image: np.ndarray, labels: np.ndarray, size: int) -> dict[str, Work]:
    """TorchIO's subjects."""
    import torchio as tio

    image, labels = (array[:, :size, :size, :size].copy() for array in (image, labels))
    subject = tio.Subject(
        image=tio.ScalarImage(tensor=torch.from_numpy(image)), label=tio.LabelMap(tensor=torch.from_numpy(labels))
    )
    warp = [tio.RandomAffine(scales=0.2, degrees=30), tio.RandomElasticDeformation(num_control_points=7)]
    steps = {
        "affine + elastic": tio.Compose(warp),
        "noise": tio.RandomNoise(std=(0.1, 0.1)),
        "blur": tio.RandomBlur(std=(0.5, 1.5)),
        "gamma": tio.RandomGamma(),
        "mirror": tio.RandomFlip(axes=(0, 1, 2)),
    }
    return in_turn(steps, subject, subject)


def by_batchgenerators(image: np.ndarray, labels: np.ndarray, size: int) -> dict[str, Work]:
    """The transforms of nnU-Net."""
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    warp = SpatialTransform(
        (size,) * 3,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_elastic_deform=1,
        p_rotation=1,
        rotation=(-0.5, 0.5),
        p_scaling=1,
        scaling=(0.8, 1.2),
    )
    steps = {
        "affine + elastic": warp,
        "noise": GaussianNoiseTransform((0.1, 0.1), p_per_channel=1),
        "blur": GaussianBlurTransform((0.5, 1.5), p_per_channel=1),
        "gamma": GammaTransform((0.7, 1.5), 0, False, True, p_retain_stats=1),
        "mirror": MirrorTransform((0, 1, 2)),
    }
    case = {"image": torch.from_numpy(image), "segmentation": torch.from_numpy(labels)}
    patch = {name: tensor[:, :size, :size, :size] for name, tensor in case.items()}
    called = {name: lambda case, t=transform: t(**case) for name, transform in steps.items()}
    return in_turn(called, case, patch)


def in_turn(steps: dict[str, Callable[[Any], Any]], case: Any, patch: Any) -> dict[str, Work]:
    """All steps one after another on a case, and each alone on a patch (the first on the case); inputs stay whole."""

    def every() -> Any:
        result = copied(case)
        for step in steps.values():
            result = step(result)
        return result

    alone = {name: lambda s=step: s(copied(patch)) for name, step in steps.items()}
    alone[STEPS[0]] = lambda: steps[STEPS[0]](copied(case))
    return {"all": every, **alone}


def copied(case: Any) -> Any:
    """A case whose arrays may be changed in place; TorchIO copies by itself."""
    return {name: tensor.clone() for name, tensor in case.items()} if type(case) is dict else case


def measure(size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds of everyone, for all steps and for each."""
    image, labels = sources(size)
    everyone = {
        "hyoid": by_hyoid(image, labels, size),
        "batchgeneratorsv2": by_batchgenerators(image, labels, size),
        "MONAI, distorted grid": by_monai(image, labels, size, elastic=False),
        "MONAI, elastic": by_monai(image, labels, size, elastic=True),
        "TorchIO": by_torchio(image, labels, size),
    }
    times: dict[str, dict[str, list[float]]] = {who: {name: [] for name in works} for who, works in everyone.items()}
    for name in ("all", *STEPS):
        for works in everyone.values():
            works[name]()
        for _ in range(repeats):
            for who, works in everyone.items():
                begin = time.process_time()
                works[name]()
                times[who][name].append(1e3 * (time.process_time() - begin))
    return {
        who: {name: round(statistics.median(some), 1) for name, some in rows.items()} for who, rows in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    need("monai", "torchio", "batchgeneratorsv2")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = measure(options.size, options.repeats)
    ours = found["hyoid"]["all"]
    print(f"| milliseconds | all | patches/s | times hyoid | {' | '.join(STEPS)} |\n" + "|---" * (len(STEPS) + 4) + "|")
    for who, row in sorted(found.items(), key=lambda item: item[1]["all"]):
        steps = " | ".join(f"{row[step]:.1f}" for step in STEPS)
        print(f"| {who} | {row['all']:.0f} | {1e3 / row['all']:.1f} | {row['all'] / ours:.1f} | {steps} |")
    if options.into:
        facts = {name: version(name) for name in ("torch", "monai", "torchio", "batchgeneratorsv2")}
        told = {"size": options.size, "facts": facts, "milliseconds": found}
        options.into.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
