"""What the report page tells of the data of a run: sizes, structures, split, and what was chosen because of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..core.lengths import Lengths
from ..datasets.groups import undecided
from ..planning.fingerprint import Fingerprint
from ..planning.plan import Plan
from ..reporting.data_sheet import DataSheet, Intensities
from ..reporting.wording import shortly
from ..run_folder import RunFolder
from .lineage import past


def split_rule(folder: RunFolder) -> str:
    """How cases were dealt into training and validation."""
    experiment, dataset = folder.experiment, folder.dataset
    if set(folder.split.training) & set(folder.split.validation):
        return "All cases are in both parts, since there are too few to divide"
    rules = {
        "split": "as the data set says",
        "group": "whole patients or other groups at random",
        "stack": "in blocks of neighbours of a stack",
        "case": "single cases at random, since no patients are known",
    }
    dealt = rules[dataset.grouping.rule]
    if dataset.grouping.rule == "split":
        return f"Cases were dealt {dealt}"
    fold = f"with seed {experiment.split_seed}; fold {experiment.fold} validates"
    rule = f"into {experiment.num_folds} folds, {dealt}, {fold}"
    if earlier := folder.split.inherited:
        new = undecided(dataset.grouping, past(folder).parts(folder.fingerprint))
        kept = f"Cases keep the part that they had in {earlier}, which the net started from"
        return f"{kept}; new ones were dealt {rule}" if new else kept
    return f"Cases were dealt {rule}"


def data_sheet(folder: RunFolder) -> DataSheet:
    """The data sheet of a planned run."""
    dataset, split = folder.dataset, folder.split
    fingerprint = folder.fingerprint
    parts = {"training": split.training, "validation": split.validation}
    held_out = {"held out": tuple(entry.id for entry in dataset.held_out)} if dataset.held_out else {}
    lengths = Lengths.of(fingerprint.cases)
    return DataSheet(
        facts={
            "source": Path(folder.experiment.data).name,
            "layout": dataset.layout,
            "cases": str(len(dataset)),
            "channels": ", ".join(dataset.channel_names),
            "structures": ", ".join(dataset.labels.names) or f"none; the truth is of the kind {dataset.truth}",
        },
        shapes=[seen.shape for seen in dataset.seen.values()],
        spacings_mm=[seen.spacing_mm for seen in dataset.seen.values() if seen.calibrated],
        split={**parts, **held_out},
        groups={case_id: dataset.group_of(case_id) for case_id in dataset.ids},
        groups_known=dataset.has_groups,
        warnings=dataset.warnings,
        notes=dataset.notes,
        digests={case.id: case.digest for case in fingerprint.cases},
        sizes=_sizes(fingerprint, lengths),
        size_unit=lengths.size_unit(fingerprint.dims),
        length_unit=Lengths.of(seen for seen in dataset.seen.values() if seen.calibrated).unit,
        intensities=[Intensities(one.name, one.low, one.high, one.histogram) for one in fingerprint.channels],
        unlabelled=[case.id for case in fingerprint.cases if case.object_share is None],
        choices=_choices(fingerprint, folder.plan),
    )


def _sizes(fingerprint: Fingerprint, lengths: Lengths) -> dict[str, dict[str, float]]:
    """Size of each structure in each annotated case."""
    scale = {case.id: lengths.voxel_size(math.prod(case.spacing_mm), fingerprint.dims) for case in fingerprint.cases}
    return {
        structure.name: {
            case.id: count * scale[case.id]
            for case in fingerprint.cases
            for count in (case.voxels or ())[index : index + 1]
        }
        for index, structure in enumerate(fingerprint.structures)
    }


def _choices(fingerprint: Fingerprint, plan: Plan) -> list[tuple[str, str, str]]:
    """What was measured of the data, and what the plan made of it."""
    spacings, shapes = (np.median(np.asarray(rows), axis=0) for rows in fingerprint.geometry())
    lengths, steps = Lengths.of(fingerprint.cases), plan.preparation
    chosen = plan.spacing_mm or (None,) * len(spacings)
    on_structures = f"{100 * plan.foreground_share:.0f} % of patches on a structure"
    kept = " × ".join("as it is" if step is None else f"{step / lengths.mm:.3g}" for step in chosen)
    kept = f"by image, {steps.extent:g} pixels (root of its area)" if steps.extent else f"{kept} {lengths.unit}"
    rows = [
        ("Spacing", f"median {lengths.text(spacings, ' × ')}", kept),
        ("Size", f"median {' × '.join(f'{n:g}' for n in shapes)}", f"patch {' × '.join(map(str, plan.patch))}"),
        ("Orientation", fingerprint.axes or "–", steps.orientation or "as it is"),
        ("Content", f"{100 * fingerprint.content_share:.0f} % of the image", f"crop: {steps.crop}"),
        *[("Structures", f"{100 * fingerprint.object_share:.3g} % of voxels", on_structures)]
        * bool(fingerprint.structures),
    ]
    for number, channel in enumerate(fingerprint.channels):
        scheme = steps.intensity[number].scheme if number < len(steps.intensity) else "zscore"
        seen = f"{channel.modality}, {shortly(channel.low)} to {shortly(channel.high)}"
        rows.append((f"Intensity, {channel.name}", seen, scheme))
    return rows
