"""Who learns, validates and is kept for a test, in the words that people write."""

from __future__ import annotations

import json

import pytest

from hyoid.core.errors import DataError
from hyoid.datasets.dataset import open_dataset
from hyoid.datasets.splits import LEFT_OUT, part_of, parts

from .test_tables import IDS, pictures


def split(words: str, column: str = "split") -> dict[str, str]:
    return parts({i: {column: "" if word == "_" else word} for i, word in zip(IDS, words.split(), strict=True)})


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("training", "train Training TRAIN tr trainset Training-Set"),
        ("validation", "val valid Validation validate dev tune eval val_set"),
        ("test", "test Testing ts TestSet holdout held_out hold-out"),
        (LEFT_OUT, "unused excluded -1 -1.0"),
        ("2", "2 2.0 02 fold2 Fold_2 fold-02 F2"),
    ],
)
def test_usual_words_mean_their_part(part, words):
    assert [part_of(word) for word in words.split()] == [part] * len(words.split())


def test_folds_may_be_written_as_text_or_numbers():
    wanted = dict(zip(IDS, "001122", strict=True))
    for words in ("0 0 1 1 2 2", "0.0 0.0 1.0 1.0 2.0 2.0", "fold0 fold0 fold1 fold1 fold2 fold2"):
        assert split(words, "fold") == wanted


@pytest.mark.parametrize(
    ("words", "blank"),
    [("0 0 1 1 _ _", LEFT_OUT), ("train train val val _ _", LEFT_OUT), ("test val val test _ _", "training")],
)
def test_a_blank_trains_only_where_exceptions_alone_are_marked(words, blank):
    assert set(list(split(words).values())[4:]) == {blank}


def test_a_test_case_stays_one_whatever_its_fold():
    rows = {
        "a": {"split": "test", "fold": "0"},
        "b": {"split": "train", "fold": "1"},
        "c": {"split": "train", "fold": "-1"},
    }
    assert parts(rows) == {"a": "test", "b": "1", "c": "training"}
    assert parts({**rows, "d": {"split": "val", "fold": "1"}}) == {
        "a": "test",
        "b": "training",
        "c": "training",
        "d": "validation",
    }


def opened(tmp_path, words: str, column: str = "split"):
    root = pictures(tmp_path / "data")
    rows = (f"{i},{'' if word == '_' else word}\n" for i, word in zip(IDS, words.split(), strict=True))
    (root / "cases.csv").write_text(f"case,{column}\n{''.join(rows)}")
    return open_dataset(root)


@pytest.mark.parametrize("column", ["split", "set", "Subset", "partition", "phase", "Data_Split"])
def test_every_usual_column_is_followed(tmp_path, column):
    found = opened(tmp_path, "train train train tune test Testing", column)
    assert found.split() == (("000", "001", "002"), ("003",), ()) and found.test == ("004", "005")


def test_what_is_in_no_part_is_left_out_and_told(tmp_path):
    found = opened(tmp_path, "0 0 1 1 _ -1", "fold")
    assert found.folds() == (("000", "001"), ("002", "003")) and found.test == ()
    assert [entry.id for entry in found.held_out] == ["004", "005"]
    assert "1 case is in no part of the split and left out (004)" in found.warnings[0]
    assert any("1 case is marked as left out (005)" in note for note in found.notes)


def test_a_test_part_alone_leaves_the_rest_to_chance(tmp_path):
    found = opened(tmp_path, "tr tr tr tr ts ts")
    assert sorted(sum(found.folds(), ())) == IDS[:4] and found.test == ("004", "005")


@pytest.mark.parametrize(
    ("words", "column", "message"),
    [
        (
            "train train train val extra test",
            "split",
            "cases.csv: column `split` says 'extra', .* known part. Known are train",
        ),
        ("0 0 1 1 2 x", "fold", "column `fold` says 'x'"),
        ("train train val extra test test", "set", "column `set` says 'extra'"),
        ("train train val val eval eval", "split", "says eval and val; write val and test"),
        ("0 0 1 1 val val", "fold", "both a validation part and numbers"),
        ("test test test test test test", "split", "every case is marked as test"),
    ],
)
def test_words_that_cannot_be_followed_are_refused(tmp_path, words, column, message):
    with pytest.raises(DataError, match=message):
        opened(tmp_path, words, column)


def test_a_phase_of_contrast_is_no_split(tmp_path):
    found = opened(tmp_path, "arterial portal arterial portal venous venous", "phase")
    assert found.grouping.rule == "case" and found.entry("001").facts == {"phase": "portal"}


def test_a_split_with_one_part_says_that_it_decides_nothing(tmp_path):
    assert "All cases are '0' in the split" in opened(tmp_path, "0 0 0 0 0 0", "fold").warnings[0]


def test_a_datalist_of_monai_gives_folds_validation_and_test(tmp_path):
    root = pictures(tmp_path / "data")
    rows = [{"image": f"images/{i}.png", "label": f"labels/{i}.png"} for i in IDS]
    folded = {"training": [{**row, "fold": k % 2} for k, row in enumerate(rows[:4])], "testing": rows[4:]}
    (root / "dataset.json").write_text(json.dumps(folded))
    found = open_dataset(root)
    assert found.folds() == (("000", "002"), ("001", "003")) and found.test == ("004", "005")
    named = {"training": rows[:3], "validation": rows[3:4], "test": [*rows[4:5], {"image": "images/005.png"}]}
    (root / "dataset.json").write_text(json.dumps(named))
    found = open_dataset(root)
    assert found.split() == (("000", "001", "002"), ("003",), ()) and found.test == ("004",)


@pytest.mark.parametrize("wrong", [None, 1, True, {}, [1], [], [["images/000.png"]], ""])
def test_a_datalist_with_something_else_for_a_file_is_refused(tmp_path, wrong):
    root = pictures(tmp_path / "data")
    right = {"image": "images/001.png", "label": "labels/001.png"}
    for tree in (
        {"training": [right, {"image": wrong}]},
        {"dataset": {"a": {"images": wrong}}},
        {"dataset": {"a": wrong}},
    ):
        (root / "dataset.json").write_text(json.dumps(tree))
        with pytest.raises(DataError, match=r"dataset.json: "):
            open_dataset(root)
