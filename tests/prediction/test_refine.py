"""A dense random field after a net: answers follow the image, lie on its grid, and probabilities stay probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hyoid.core.case import Case, Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.tasks import task_for
from phantoms import OneConvolution, make_plan, make_predictor


class Doubtful(OneConvolution):
    """A net that is right on average and often wrong: the brightness of each voxel, with noise."""

    def __init__(self, dims: int) -> None:
        super().__init__(dims, 3)
        self.dims = dims

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        bright = 3 * (x - x.mean()) / x.std() + 1.5 * noise
        return (torch.cat([-bright, bright, torch.full_like(bright, -20)], 1),)


def square(dims: int) -> tuple[Case, np.ndarray]:
    shape = (30, 28) if dims == 2 else (12, 14, 10)
    truth = np.zeros(shape, np.uint8)
    truth[tuple(slice(n // 4, 3 * n // 4) for n in shape)] = 1
    grid = Grid.plain(shape, (1.0, 2.0) if dims == 2 else (1.0, 1.0, 2.0))
    return Case("square", Image(truth[None].astype(np.float32) * 3, grid)), truth


@pytest.mark.parametrize("dims", [2, 3])
def test_wrong_voxels_follow_those_that_look_like_them(dims):
    case, truth = square(dims)
    settings = {"whole": 100, "overlap": 0.0}
    plain, refined = (
        make_predictor((16,) * dims, Doubtful(dims), refine=name, **settings).predict(case)
        for name in (None, "dense_crf")
    )
    assert refined.grid == case.image.grid and refined.array.dtype == plain.array.dtype
    wrong = [np.mean((answer.array[0] > 0) != truth) for answer in (plain, refined)]
    assert wrong[1] < wrong[0] / 2


def test_refined_probabilities_are_those_of_the_labels():
    case, _ = square(2)
    predictor = make_predictor((16, 16), Doubtful(2), refine="dense_crf", whole=100)
    labels, maps = predictor.predict_probabilities(case)
    assert np.array_equal(predictor.predict(case).array, labels.array)
    np.testing.assert_allclose(maps.array.astype(np.float32).sum(0), 1, atol=5e-3)
    assert np.array_equal(np.array([0, 1, 5])[maps.array.argmax(0)], labels.array[0])


def test_regions_that_overlap_are_refined_each_by_itself():
    labels = Labels(names=("whole", "core"), values=((1, 2), (2,)))

    class Regions(Doubtful):
        def forward(self, x):
            (logits,) = super().forward(x)
            return (torch.cat([logits[:, 1:2], torch.full_like(logits[:, :1], -20)], 1),)

    case, truth = square(2)
    plan = make_plan((16, 16))
    settings = PredictionSettings(refine="dense_crf", whole=100, mirror=False)
    answer = Predictor.of(Regions(2), task_for(labels), plan, settings).predict(case)
    assert np.mean((answer.array[0] > 0) != truth) < 0.02
