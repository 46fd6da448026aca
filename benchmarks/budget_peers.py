"""The rivals of `budget.py`: nnU-Net by its own plan and MONAI's BasicUNet, both driven by the clock."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

RECIPES = {
    "msd_hippocampus": ((48, 64, 48), 4, None),
    "dsb2018_nuclei": ((256, 256), 8, None),
    "hc18_fetal_head": ((256, 384), 4, (256, 384)),
}
"""Patch, batch and the shape that images are resized to, as one would choose them by hand."""


def progress(minutes: float) -> Iterator[float]:
    """The share of the time that is used, from the first question on, until it is over."""
    begin = time.process_time()
    while (share := (time.process_time() - begin) / (60 * minutes)) < 1:
        yield share


def with_nnunet(material: Any, folder: Path, minutes: float, held: dict[str, Any]) -> dict[str, Any]:
    """nnU-Net's plan, net, augmentation, loss and optimiser; its learning rate falls to zero within the time."""
    import torch

    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(folder / name)
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_compile": "f"}
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    raw, configuration = folder / "raw" / "Dataset001_Set", "2d" if material.ending == ".png" else "3d_fullres"
    colours = material.folder == "dsb2018_nuclei"
    for part, images, labels in (("dev", "imagesTr", "labelsTr"), ("holdout", "imagesTs", "labelsTs")):
        for name, target in (("images", images), ("labels", labels)):
            (raw / target).mkdir(parents=True)
            for path in (folder / part / name).iterdir():
                stem = path.name.removesuffix(material.ending) + ("_0000" if name == "images" else "")
                os.link(path, raw / target / (stem + material.ending))
    count = len(list((raw / "labelsTr").iterdir()))
    facts = {
        "channel_names": {str(i): colour for i, colour in enumerate("RGB")} if colours else {"0": "image"},
        "labels": {"background": 0, **{name: i for i, name in enumerate(material.structures, 1)}},
        "numTraining": count,
        "file_ending": material.ending,
    }
    (raw / "dataset.json").write_text(json.dumps(facts))
    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
    preprocess([1], configurations=(configuration,), num_processes=(1,))
    plans = json.loads((folder / "preprocessed" / "Dataset001_Set" / "nnUNetPlans.json").read_text())
    plans["continue_training"] = False
    trainer = nnUNetTrainer(plans, configuration, "all", facts, torch.device("cpu"))
    trainer.initialize()
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # patches come from this process
    batches, _ = trainer.get_dataloaders()
    trainer.network.train()
    steps = 0
    for share in progress(minutes):
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - share) ** 0.9
        trainer.train_step(next(batches))
        steps += 1
    trainer.network.eval()
    trainer.set_deep_supervision_enabled(False)
    predictor = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    weights = [trainer.network.state_dict()]
    predictor.manual_initialization(
        trainer.network, trainer.plans_manager, trainer.configuration_manager, weights, facts, "nnUNetTrainer", None
    )
    sources = [[str(path)] for path in sorted((raw / "imagesTs").iterdir())]
    (folder / "answers").mkdir()
    targets = [str(folder / "answers" / Path(one[0]).name.split("_0000")[0]) for one in sources]
    predictor.predict_from_files_sequential(sources, targets)
    chosen = plans["configurations"][configuration]
    return {
        "steps": steps,
        "training_cases": count,
        "plan": {"patch": chosen["patch_size"], "batch": chosen["batch_size"]},
    }


def with_monai(material: Any, folder: Path, minutes: float, held: dict[str, Any]) -> dict[str, Any]:
    """BasicUNet in bfloat16, cached cases, crops, flips, a small affine, DiceCE, AdamW along a cosine."""
    import torch
    from monai import transforms as T
    from monai.data import CacheDataset, DataLoader
    from monai.inferers import sliding_window_inference
    from monai.losses import DiceCELoss
    from monai.networks.nets import BasicUNet

    patch, batch, shape = RECIPES[material.folder]
    dims, both, first = len(patch), ("image", "label"), ("image",)
    classes = len(material.structures) + 1
    fitted = [T.Resized(both, shape, mode=("area", "nearest"))] if shape else []
    bf16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    rows_first = {"reader": "PILReader", "reverse_indexing": False} if material.ending == ".png" else {}
    fixed = [
        T.LoadImaged(both, ensure_channel_first=True, image_only=True, **rows_first),
        T.NormalizeIntensityd(first, channel_wise=True),
        *fitted,
        T.SpatialPadd(both, patch),
    ]
    drawn = [
        T.RandCropByPosNegLabeld(both, "label", patch, pos=1, neg=1, num_samples=1),
        *[T.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(dims)],
        T.RandAffined(
            both,
            prob=0.5,
            rotate_range=[0.26] * (1 if dims == 2 else 3),
            scale_range=[0.15] * dims,
            mode=("bilinear", "nearest"),
            padding_mode="zeros",
        ),
        T.RandScaleIntensityd(first, factors=0.1, prob=0.5),
        T.RandShiftIntensityd(first, offsets=0.1, prob=0.5),
    ]

    def cases(part: str) -> list[dict[str, Path]]:
        images = sorted((folder / part / "images").iterdir())
        return [{"image": path, "label": folder / part / "labels" / path.name} for path in images]

    data = CacheDataset(cases("dev"), T.Compose([*fixed, *drawn]), progress=False)
    loader = DataLoader(data, batch_size=batch, shuffle=True, num_workers=0, drop_last=True)
    channels = 3 if material.folder == "dsb2018_nuclei" else 1
    torch.manual_seed(0)
    net, loss = BasicUNet(dims, channels, classes), DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    steps, stream = 0, (batch for _ in iter(int, 1) for batch in loader)
    for share in progress(minutes):
        group = next(stream)
        for parameters in optimiser.param_groups:
            parameters["lr"] = 1e-3 * 0.5 * (1 + np.cos(np.pi * share))
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = net(group["image"].as_tensor())
        loss(logits.float(), group["label"].as_tensor()).backward()
        optimiser.step()
        steps += 1
    net.eval()
    (folder / "answers").mkdir()
    prepared = T.Compose(fixed[:-1])
    for case in cases("holdout"):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            image = prepared(case)["image"].as_tensor()[None]
            logits = sliding_window_inference(image, patch, 4, net, overlap=0.5, mode="gaussian").float()
        write(logits, case["label"], folder / "answers" / case["label"].name)
    return {"steps": steps, "training_cases": len(data), "plan": {"patch": list(patch), "batch": batch}}


def write(logits: Any, like: Path, target: Path) -> None:
    """The arg-max of logits (1, K, *S) on the grid of a file."""
    import nibabel
    import torch
    from PIL import Image

    if like.suffix == ".png":
        height, width = np.asarray(Image.open(like)).shape
        logits = torch.nn.functional.interpolate(logits, (height, width), mode="bilinear")
        Image.fromarray(logits.argmax(1)[0].numpy().astype(np.uint8)).save(target)
    else:
        image = nibabel.load(like)
        nibabel.save(nibabel.Nifti1Image(logits.argmax(1)[0].numpy().astype(np.uint8), image.affine), target)
