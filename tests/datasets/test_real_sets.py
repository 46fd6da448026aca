"""The annotated sets of the collection open as their README says."""

import json

import numpy as np
import pytest

from hyoid.datasets.dataset import Dataset, open_dataset

EXPECTED = {  # cases, channels, structures, encoding, rule of the folds, groups
    "dsb2018_nuclei": (95, 3, 1, "instances", "case", 95),
    "hc18_fetal_head": (64, 1, 1, "values", "group", 52),
    "isbi2012_em": (21, 1, 1, "values", "stack", 1),
    "ms_lesions": (2, 2, 1, "values", "case", 2),
    "msd_hippocampus": (186, 1, 2, "values", "group", 119),
    "sct_spinal_cord": (6, 1, 1, "values", "case", 6),
    "stare_vessels": (13, 3, 1, "values", "case", 13),
    "sunnybrook_lv": (185, 1, 1, "values", "group", 30),
    "totalseg_ct_demo": (3, 1, 69, "values", "case", 3),
    "vnc_sstem": (10, 1, 4, "values", "stack", 1),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_opens_as_its_readme_says(real_data, name):
    dataset = open_dataset(real_data / name)
    found = (
        len(dataset),
        len(dataset.channel_names),
        len(dataset.labels.names),
        dataset.encoding.kind,
        dataset.grouping.rule,
        len(set(dataset.grouping.groups.values())),
    )
    assert found == EXPECTED[name]
    assert Dataset.from_dict(json.loads(json.dumps(dataset.to_dict()))) == dataset
    parts = dataset.folds()
    assert sorted(case for part in parts for case in part) == list(dataset.ids)
    for case_id in (dataset.ids[0], dataset.ids[-1]):
        case = dataset.read(case_id)
        assert case.truth.grid == case.image.grid and case.image.channels == len(dataset.channel_names)
        counts = {int(v): int((case.truth.array == v).sum()) for v in np.unique(case.truth.array)}
        assert counts == dataset.seen[case_id].counts


def test_subjects_of_the_hippocampus_never_straddle(real_data):
    dataset = open_dataset(real_data / "msd_hippocampus")
    for seed in range(3):
        for part in dataset.folds(seed=seed):
            outside = {dataset.group_of(case) for case in set(dataset.ids) - set(part)}
            assert not outside & {dataset.group_of(case) for case in part}


def test_slices_of_the_microscope_stay_in_blocks(real_data):
    parts = open_dataset(real_data / "isbi2012_em").folds()
    assert parts[0] == tuple(f"slice_{k:02d}" for k in range(5))


def test_nuclei_keep_their_numbers(real_data):
    dataset = open_dataset(real_data / "dsb2018_nuclei")
    instances = dataset.read_instances("00071198d059")
    assert len(np.unique(instances.array)) - 1 == int(dataset.entry("00071198d059").facts["nuclei"]) == 27
    assert any("grey among colour" in note for note in dataset.notes)


def test_spinal_cord_says_what_it_lets_pass(real_data):
    dataset = open_dataset(real_data / "sct_spinal_cord")
    assert any("floating point numbers in mt1_greymatter" in note for note in dataset.notes)
    assert dataset.read("t2_cord").image.grid.orientation == "PSR"
    assert any("share the beginning" in warning for warning in dataset.warnings)
