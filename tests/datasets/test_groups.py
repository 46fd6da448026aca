"""Folds that do not leak: patients together, slices in blocks, explicit splits first, doubts said."""

from itertools import chain

import pytest

from hyoid.core.errors import DataError
from hyoid.datasets.groups import _stacks, folds, grouping, inherited, undecided
from hyoid.datasets.tables import labels_from_yaml


def facts(**columns):
    ids = columns.pop("ids")
    return {case: {name: values[k] for name, values in columns.items()} for k, case in enumerate(ids)}


IDS = [f"case{k:02d}" for k in range(20)]


def test_each_case_validates_once_and_sizes_are_even():
    parts = folds(grouping({i: {} for i in IDS}), 5, seed=0)
    assert sorted(chain.from_iterable(parts)) == IDS
    assert [len(part) for part in parts] == [4] * 5


def test_the_seed_decides():
    found = grouping({i: {} for i in IDS})
    assert folds(found, 5, 1) == folds(found, 5, 1) != folds(found, 5, 2)


@pytest.mark.parametrize("column", ["patient", "pair", "subject", "group"])
def test_groups_never_straddle(column):
    members = [str(k // 3) for k in range(20)]
    found = grouping(facts(ids=IDS, **{column: members}))
    assert found.rule == "group"
    for part in folds(found, 3, 7):
        inside = {found.groups[case] for case in part}
        assert all(case in part for case in IDS if found.groups[case] in inside)


def test_a_group_beside_a_patient_is_a_disease():
    found = grouping(facts(ids=IDS, patient=[str(k // 2) for k in range(20)], group=["HF", "N"] * 10))
    assert len(set(found.groups.values())) == 10


def test_large_groups_are_spread():
    members = ["big"] * 10 + [str(k) for k in range(10)]
    sizes = sorted(len(part) for part in folds(grouping(facts(ids=IDS, patient=members)), 3, 0))
    assert sizes == [5, 5, 10]


def test_cases_without_a_patient_stand_alone_and_are_named():
    found = grouping(facts(ids=IDS, patient=["a"] * 5 + [""] * 15))
    assert found.groups["case07"] == "case07"
    assert "15 cases lack a patient, such as case05" in found.warnings[0]


def test_one_patient_only_is_a_warning():
    assert "All cases are of one patient" in grouping(facts(ids=IDS, patient=["a"] * 20)).warnings[0]


def test_fewer_groups_than_folds():
    assert len(folds(grouping(facts(ids=IDS, patient=["a", "b"] * 10)), 5, 0)) == 2


@pytest.mark.parametrize("word", ["val", "validation", "Valid"])
def test_a_split_column_wins(word):
    found = grouping(facts(ids=IDS, patient=["a"] * 20, split=["train"] * 15 + [word] * 5))
    assert folds(found, 5, 3) == (tuple(IDS[15:]),)


def test_numbered_splits_are_the_folds():
    found = grouping(facts(ids=IDS, fold=[str(k % 4) for k in range(20)]))
    parts = folds(found, 5, 0)
    assert len(parts) == 4 and parts[1] == tuple(IDS[1::4])


def test_a_split_of_training_alone_decides_nothing():
    assert grouping(facts(ids=IDS, split=["train"] * 20)).rule == "case"


@pytest.mark.parametrize("column", ["slice", "section", "frame"])
def test_slices_of_a_stack_are_split_in_blocks(column):
    found = grouping(facts(ids=IDS, **{column: [str(k) for k in range(20)]}))
    parts = folds(found, 5, 11)
    assert parts == tuple(tuple(IDS[k : k + 4]) for k in range(0, 20, 4))
    assert "contiguous blocks" in found.notes[0]


@pytest.mark.parametrize("pattern", ["slice_{}", "section{:02d}", "em_z{:03d}", "t-{}", "Frame {}"])
def test_names_of_slices_are_recognised(pattern):
    ids = [pattern.format(k) for k in range(12)]
    found = grouping({i: {} for i in ids})
    assert found.rule == "stack"
    assert folds(found, 4, 0)[0] == tuple(sorted(ids[:3]))


def test_slices_keep_their_part_and_new_ones_go_with_the_nearest():
    names = [f"slice_{n:02d}" for n in range(12)]
    found = grouping({name: {} for name in names})
    parts = {names[n]: "validation" if n < 4 else "training" for n in range(1, 10, 2)}  # 1 3 judge, 5 7 9 learn
    assert inherited(found, parts, 1, 5, 0) == tuple(names[:4])  # 4 is as near to 5, which learns
    assert undecided(found, parts) == {}
    more = grouping({f"{stack}_{name}": {} for stack in "ab" for name in names})
    parts = {f"a_{name}": part for name, part in parts.items()}
    assert len(undecided(more, parts)) == 12
    kept = inherited(more, parts, 0, 4, 0)
    assert kept[:4] == tuple(f"a_{name}" for name in names[:4]) and [one[0] for one in kept[4:]] == ["b"] * 3


def test_slices_of_many_stacks_stay_with_their_stack():
    ids = [f"p{p}_slice_{k}" for p in range(6) for k in range(4)]
    parts = folds(grouping({i: {} for i in ids}), 3, 0)
    assert all(len({case.split("_")[0] for case in part}) == 2 for part in parts)


def test_a_slice_number_that_repeats_is_no_single_stack():
    ids = [f"x{k}" for k in range(6)]
    assert grouping(facts(ids=ids, slice=["1", "2", "3"] * 2)).rule == "case"


@pytest.mark.parametrize(
    "ids",
    [
        ["033_HC", "033_2HC", "044_HC", "066_HC", "066_2HC"],
        ["SC-01_0048", "SC-01_0080", "SC-02_0048", "SC-02_0080"],
        ["a_left", "a_right", "b_left", "b_right"],
        ["scan", "scan_cropped", "other"],
    ],
)
def test_names_that_look_paired_are_a_warning(ids):
    found = grouping({i: {} for i in ids})
    assert found.rule == "case" and "a random split leaks" in found.warnings[0]


@pytest.mark.parametrize(
    "ids", [["hippocampus_001", "hippocampus_003", "hippocampus_004"], ["im0001", "im0002"], ["a", "b"]]
)
def test_running_numbers_alone_are_no_warning(ids):
    assert grouping({i: {} for i in ids}).warnings == ()


def test_a_single_case_is_one_fold():
    assert folds(grouping({"only": {}}), 5, 0) == (("only",),)


def test_a_split_keeps_the_patients():
    found = grouping(facts(ids=IDS, patient=[str(k // 5) for k in range(20)], split=["train"] * 15 + ["val"] * 5))
    assert found.rule == "split" and found.known and found.groups["case19"] == "3" and found.warnings == ()
    assert folds(found, 5, 0) == (tuple(IDS[15:]),)


@pytest.mark.parametrize("column", ["split", "fold"])
def test_a_patient_on_both_sides_of_a_split_is_a_leak(column):
    words = ["1"] * 12 + ["2"] * 8 if column == "fold" else ["train"] * 12 + ["val"] * 8
    found = grouping(facts(ids=IDS, patient=[f"p{k // 5}" for k in range(20)], **{column: words}))
    assert "The split leaks: 1 of 4 patients lie in several parts (p2)" in found.leak
    assert "such as 'p2' with case10 in" in found.leak and found.warnings == (found.leak,)


def test_several_words_for_training_are_one_side():
    words = ["train", "training", "", "Train"] + ["val"] * 2
    found = grouping(facts(ids=IDS[:6], patient=["a"] * 4 + ["b"] * 2, split=words))
    assert found.rule == "split" and not found.leak


def test_a_patient_in_the_test_part_is_a_leak():
    used = facts(ids=IDS[:4], patient=["a", "a", "b", "b"], split=["train"] * 4)
    apart = facts(ids=["t1", "t2"], patient=["b", "c"], split=["test"] * 2)
    found = grouping(used, apart)
    assert found.rule == "group" and set(found.groups) == set(IDS[:4])
    assert "such as 'b' with t1 in 'test' and case02 in 'training'" in found.leak


def test_a_split_without_patients_knows_no_groups():
    assert not grouping(facts(ids=IDS, split=["train"] * 15 + ["val"] * 5)).known


@pytest.mark.parametrize("odd", ["²", "--1", "1-", "٣²"])
def test_signs_that_are_no_whole_numbers_are_no_slice_numbers(tmp_path, odd):
    assert _stacks(["a", "b"], {"a": {"slice": odd}, "b": {"slice": "1"}}) is None
    (tmp_path / "labels.yaml").write_text(f"liver: {odd}\n", encoding="utf-8")
    with pytest.raises(DataError, match="needs a whole number"):
        labels_from_yaml(tmp_path / "labels.yaml")
