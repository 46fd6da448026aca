"""Prepared cases of a run as a torch data set, for a training loop of one's own or Lightning."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import Dataset

from ..core.errors import ConfigError
from ..run_folder import RunFolder
from ..training.data import Feed, Sample, encode
from ..training.job import Job, sampler_of
from .own_cases import prepare_cases
from .signatures import verb


@dataclass(frozen=True)
class Cases(Dataset[dict[str, Any]]):
    """Prepared cases: augmented patches in the order in which `hyoid train` sees them, or whole.

    Patch `i` is sample `i % batch` of batch `i // batch`: a loader that does not shuffle and has the batch of the plan
    gives the batches of `hyoid train`. One pass is a whole training; another seed gives another one. Whole cases differ
    in shape, so a loader gives them one by one. An item has

    - `image`: (C, *S) float32; patches (1, h, w) are flat for a 2D net on volumes, whole cases are not
    - `target`: what the task makes of the annotation, such as class indices (*S), -1 where voxels do not count
    - `weight`: (*S) float32 of a patch, with `training.voxel_weights` only
    - `annotated`: (K,) bool, which structures were annotated, of a case in which not all were
    - `case_id`: the name of the case

    Attributes:
        feed: Gives the patches; its sampler has the batch of the plan.
        length: Number of patches; None for whole cases.
    """

    feed: Feed
    length: int | None

    def __len__(self) -> int:
        return len(self.feed.sampler.ids) if self.length is None else self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not -len(self) <= operator.index(index) < len(self):
            raise IndexError(f"There are {len(self)} items; got the index {index}.")
        index %= len(self)
        sampler = self.feed.sampler
        whole = self.length is None
        one = self._whole(sampler.ids[index]) if whole else self.feed.sample(*divmod(index, sampler.batch))
        return {name: value for name, value in one._asdict().items() if value is not None}

    def _whole(self, case_id: str) -> Sample:
        store, task = self.feed.sampler.store, self.feed.sampler.task
        image, truth = (torch.tensor(part[:]) for part in (store.image(case_id), store.truth(case_id)))
        known = torch.tensor([self.feed.sampler.annotated(case_id)], dtype=torch.bool)
        labels, numbers = (truth, None) if task.kind == "labels" else (torch.zeros_like(truth[:1]), truth[None])
        target, _ = encode(task, labels.int(), numbers, None if known.all() else known)
        return Sample(case_id, image.float(), target[0], annotated=None if known.all() else known[0])


@verb()
def cases(
    run: str | Path,
    part: Literal["training", "validation"] = "training",
    *,
    whole: bool = False,
    steps: int | None = None,
    seed: int | None = None,
) -> Cases:
    """Give the prepared cases of a planned run as a torch data set; what is not prepared yet is prepared first.

    Args:
        run: Folder of a planned run.
        part: "training", or "validation", whose patches are not augmented.
        whole: Whole prepared cases instead of patches.
        steps: Batches of patches; when not given, as many as the run takes or expects to take.
        seed: Seed of all draws; that of the run when not given.

    Raises:
        ConfigError: When the run has no such cases, or an argument does not fit.
    """
    if seed is not None and seed < 0:
        raise ConfigError(f"seed is {seed}; expected a whole number from 0 on.")
    folder = RunFolder.open(run)
    ids = {"training": folder.split.training, "validation": folder.split.validation}.get(part)
    if not ids:
        raise ConfigError(f"{run}: there are no {part} cases; a run has training and validation cases.")
    experiment, plan, training = folder.experiment, folder.plan, folder.experiment.training
    seen = plan if part == "training" else plan.model_copy(update={"policy": "none"})
    seed = experiment.seed if seed is None else seed
    job = Job(folder.task, prepare_cases(folder), ids, (), seen, training, folder.weights, seed=seed)
    with torch.device("meta"):
        margin = plan.net.build().margin
    taken = steps or (training.steps or plan.expected.steps) * training.optimiser.accumulate
    return Cases(Feed(sampler_of(job, margin), plan.dims, 1), None if whole else taken * plan.batch)
