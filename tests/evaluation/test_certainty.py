"""How sure a net was: measured part by part, kept in a file, summed over cases."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.core.lengths import Lengths
from hyoid.evaluation.belief import Measuring, write_beliefs
from hyoid.evaluation.certainty import Certainty, sensitivity_by_size, wilson
from hyoid.metrics.calibration import Beliefs, probability_metrics

LABELS = Labels(names=("spots", "organ"), values=((1,), (2, 3)), ignore=9)


def volume() -> tuple[np.ndarray, np.ndarray]:
    """Three spots, an organ of two values, ignored voxels; probabilities of background, spots and organ."""
    truth = np.zeros((20, 24, 8), np.uint8)
    truth[2:4, 2:4, 2:4] = 1
    truth[2:6, 12:16, 2:6] = 1
    truth[2:4, 20:22, 6:8] = 1
    truth[12:18, 4:12, 2:6] = 2
    truth[12:18, 12:16, 2:6] = 3
    truth[19] = 9
    rng = np.random.default_rng(0)
    maps = rng.uniform(0, 0.09, (3, *truth.shape)).astype(np.float32)
    maps[1, 2:4, 2:4, 2:4] = 0.9
    maps[1, 2:6, 12:16, 2:6] = 0.4
    maps[1, 10, 22, 1] = 0.7
    maps[2, 11:18, 4:16, 2:6] = 0.8
    return truth, maps


def measured(parts: int = 1, spacing_mm=(5.0, 5.0, 2.5), case: str = "c", group: str = "g"):
    truth, maps = volume()
    grid = Grid.plain(truth.shape, spacing_mm)
    one = Measuring(Image(truth[None], grid, "labels"), LABELS, ["spots"], lengths=Lengths())
    for rows in np.array_split(np.arange(len(truth)), parts):
        place = (slice(rows[0], rows[-1] + 1), slice(None), slice(None))
        source = grid.cropped((rows[0], 0, 0), (len(rows), *truth.shape[1:]))
        one.add(maps[(slice(None), *place)], source, place)
    return one.finished(case, group)


def test_probabilities_are_judged_up_to_ten_millimetres_from_the_structure():
    truth, maps = volume()
    spots, organ = measured()
    # The organ lies in [12:18, 4:16, 2:6]; two voxels are 10 mm; the last plane is ignored.
    box = (slice(10, 19), slice(2, 18), slice(0, 8))
    beliefs = Beliefs.of(maps[2][box], np.isin(truth[box], (2, 3)))
    for name in ("ece", "brier", "nll", "auc_roc", "average_precision"):
        assert organ.values[name] == pytest.approx(probability_metrics.build(name).of(beliefs), abs=2e-4), name
    assert sum(row[0] for row in organ.bins) == 9 * 16 * 8
    assert organ.lesions is None and spots.lesions is not None


def test_parts_give_what_the_whole_gives():
    assert measured(parts=5) == measured(parts=1)


def test_probabilities_on_a_coarser_grid_are_brought_onto_the_answer():
    truth, maps = volume()
    grid = Grid.plain(truth.shape, (1.0, 1.0, 1.0))
    coarse = replace(Grid.plain((10, 12, 4), (2.0, 2.0, 2.0)), origin_mm=(0.5, 0.5, 0.5))
    means = maps.reshape(3, 10, 2, 12, 2, 4, 2).mean((2, 4, 6)).astype(np.float32)
    one = Measuring(Image(truth[None], grid, "labels"), LABELS)
    one.add(means, coarse, (slice(None),) * 3)
    organ = one.finished("c", "g")[1]
    assert organ.values["auc_roc"] > 0.95 and sum(row[0] for row in organ.bins) == 17 * 24 * 8


def test_lesions_have_sizes_and_scores():
    spots, _ = measured()
    assert spots.lesions == ((0.5, 0.8999), (4.0, 0.3999), (0.5, None))
    assert spots.false == (0.7002,)


def test_a_case_without_the_structure_tells_nothing_of_calibration_but_of_detection():
    grid = Grid.plain((6, 6), (1.0, 1.0))
    one = Measuring(Image(np.zeros((1, 6, 6), np.uint8), grid, "labels"), Labels.of({1: "a"}), ["a"])
    maps = np.zeros((2, 6, 6), np.float32)
    maps[1, 2, 2] = 0.6
    one.add(maps, grid, (slice(None), slice(None)))
    (found,) = one.finished("c", "g")
    assert math.isnan(found.values["ece"]) and found.lesions == () and found.false == (0.6001,)


def test_regions_overlap_and_have_no_channel_for_background():
    truth = np.zeros((12, 12), np.uint8)
    truth[2:10, 2:10], truth[4:6, 4:6] = 1, 2
    maps = np.stack([np.where(truth > 0, 0.9, 0.1), np.where(truth == 2, 0.6, 0.2)]).astype(np.float32)
    grid = Grid.plain(truth.shape, (1.0, 1.0))
    regions = Labels(names=("whole", "core"), values=((1, 2), (2,)))
    one = Measuring(Image(truth[None], grid, "labels"), regions)
    one.add(maps, grid, (slice(None), slice(None)))
    whole, core = one.finished("c", "g")
    assert whole.values["ece"] == pytest.approx(0.1, abs=1e-3) and whole.values["auc_roc"] == 1
    assert core.values["brier"] == pytest.approx((4 * 0.4**2 + 140 * 0.2**2) / 144, abs=1e-3)


def kept(folder, cases: int = 4) -> Certainty:
    names = [f"c{number}" for number in range(cases)]
    for name in names:
        write_beliefs(folder, name, measured(case=name, group=f"p{name}"))
    found = Certainty.read(folder, names, LABELS.names)
    assert found is not None
    return found


def test_what_is_kept_is_read_back(tmp_path):
    found = kept(tmp_path)
    assert found.beliefs[:2] == tuple(measured(case="c0", group="pc0"))
    assert len({one.case for one in found.beliefs}) == 4


def test_certainty_is_told_only_when_every_case_was_measured(tmp_path):
    kept(tmp_path)
    assert Certainty.read(tmp_path, ["c0", "later"], LABELS.names) is None
    assert Certainty.read(tmp_path, [], LABELS.names) is None


def test_a_damaged_file_is_one_sentence(tmp_path):
    kept(tmp_path)
    (tmp_path / "c1.certainty.json").write_text('[{"case": 1}]')
    with pytest.raises(DataError, match=r"c1\.certainty\.json: this is not what prediction wrote"):
        Certainty.read(tmp_path, ["c0", "c1"], LABELS.names)


def test_equal_cases_have_a_narrow_interval_and_their_own_error(tmp_path):
    found = kept(tmp_path)
    value, low, high = found.pooled_ece("organ", 0.95, 200, 0)
    assert value == pytest.approx(found.beliefs[1].values["ece"], abs=1e-5)
    assert low == pytest.approx(value) and high == pytest.approx(value)


def test_the_dictionary_is_plain_json_and_counts_lesions(tmp_path):
    values = kept(tmp_path).to_dict(10.0, 0.95, 200, 0)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    (spots,) = values["detection"]
    assert (spots["num_cases"], spots["num_lesions"]) == (4, 12)
    # From strict to lax: 0.9 finds one of three, 0.7 is false once a case, 0.4 finds the second.
    assert spots["curve"] == [[0.0, 0.0], [0.0, 0.333333], [1.0, 0.333333], [1.0, 0.666667]]
    assert [row["structure"] for row in values["structures"]] == ["spots", "organ"]


def test_lesions_are_sorted_into_bands_of_size():
    lesions = [(1.0, 0.1), (1.0, -math.inf), (2.0, 0.9), (3.0, 0.6), (9.0, 0.9), (8.0, 0.95)]
    bands = sensitivity_by_size(lesions)
    assert [(band.low, band.high, band.num_found, band.num_lesions) for band in bands] == [
        (1.0, 1.0, 0, 2),
        (2.0, 3.0, 2, 2),
        (8.0, 9.0, 2, 2),
    ]
    assert sensitivity_by_size([]) == []
    assert len(sensitivity_by_size([(1.0, 1.0)] * 5)) == 1


def test_wilson_interval_is_the_published_one():
    # 81 of 263: 0.2553 to 0.3662 (Newcombe 1998, Table I, method 3).
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 5)[0] == 0 and wilson(5, 5)[1] == 1
