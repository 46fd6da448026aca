"""Real images prepared, stored and put back onto the grid of their file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hyoid.datasets.dataset import open_dataset
from hyoid.ops.resample import onto
from hyoid.preparation.pipeline import PreparationSettings, prepare
from hyoid.preparation.store import prepare_all


@pytest.mark.parametrize(
    ("name", "settings", "agreement"),
    [
        ("msd_hippocampus", {"orientation": "SAR", "crop": "content"}, 1.0),
        ("sct_spinal_cord", {"orientation": "SAR", "spacing_mm": (None, 0.6, 0.6)}, 0.99),
        pytest.param(
            "totalseg_ct_demo", {"orientation": "SAR", "spacing_mm": (2.0, 2.0, 2.0)}, 0.99, marks=pytest.mark.slow
        ),
        ("isbi2012_em", {"crop": "content"}, 1.0),
    ],
)
def test_real_labels_come_back_from_the_store(real_data: Path, tmp_path: Path, name, settings, agreement):
    dataset = open_dataset(real_data / name)
    dataset = replace(dataset, cases=dataset.cases[:2])
    store = prepare_all(dataset, PreparationSettings.parse(settings), tmp_path)
    for case_id in store.ids:
        case = dataset.read(case_id)
        prepared = prepare(case, PreparationSettings.parse(settings))
        assert store.source_grid(case_id) == case.image.grid
        assert np.abs(np.asarray(store.image(case_id)) - prepared.image.array).max() < 1e-3 * prepared.image.array.std()
        back = onto(replace(prepared.truth, array=store.labels(case_id)), case.image.grid)
        assert (back.array == case.truth.array).mean() >= agreement
