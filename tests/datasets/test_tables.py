"""Tables as spreadsheets and people write them: read right, or refused with the line and the column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyoid.core.errors import DataError
from hyoid.datasets.dataset import Dataset, open_dataset
from hyoid.datasets.facts import facts_of, matched

IDS = [f"{k:03d}" for k in range(6)]


def pictures(root: Path, names=IDS, masks: str = "labels") -> Path:
    for folder in ("images", masks):
        (root / folder).mkdir(parents=True)
        for k, name in enumerate(names):
            array = np.zeros((16, 16), np.uint8)
            array[k : k + 5, 4:9] = 255
            Image.fromarray(array + (folder == "images")).save(root / folder / f"{name}.png")
    return root


def table(head: str = "case,patient", line: str = "{i},p{p}") -> str:
    return "".join(f"{row}\n" for row in (head, *(line.format(i=i, n=int(i), p=int(i) // 2) for i in IDS)))


def with_table(root: Path, text: str, encoding: str = "utf-8", name: str = "cases.csv") -> Dataset:
    pictures(root)
    (root / name).write_bytes(text.encode(encoding))
    return open_dataset(root)


def patients(dataset: Dataset) -> list[str]:
    return [dataset.group_of(case) for case in dataset.ids]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_every_usual_encoding_is_read(tmp_path, encoding):
    found = with_table(tmp_path / "data", table().replace("p0", "Müller"), encoding)
    assert patients(found) == ["Müller", "Müller", "p1", "p1", "p2", "p2"] and not found.warnings


DIALECTS = {
    "semicolons": table().replace(",", ";"),
    "tabs": table().replace(",", "\t"),
    "windows lines": table().replace("\n", "\r\n"),
    "old lines": table().replace("\n", "\r"),
    "line of Excel": "sep=;\r\n" + table().replace(",", ";"),
    "line of Excel for tabs": "sep=\t\n" + table().replace(",", "\t"),
    "empty lines": "\n" + table() + ",\n\n,,\n",
    "trailing separators": table("case,patient,,", "{i},p{p},,"),
    "commas in the header": table("case;patient;size (a,b,c)", "{i};p{p}"),
    "decimal commas": table("case;patient;age", "{i};p{p};61,5"),
    "quotes": table(line='"{i}","p{p}"'),
    "short rows": table("case,patient,age"),
    "lost zeros": table(line="{n},p{p}"),
    "floats": table(line="{n}.0,p{p}"),
    "names with ending": table(line="{i}.png,p{p}"),
    "windows paths": table(line="images\\{i}.png,p{p}"),
    "paths of another machine": table("image_path,patient", "/home/anna/x/{i}.png,p{p}"),
    "image names": table("Image,Patient", "{i}.png,p{p}"),
    "file names": table("age,File Name,patient", "61,{i}.png,p{p}"),
    "first channel": table(line="{i}_0000.png,p{p}"),
    "ids beside images": table("image_id,image,patient", "{n},{i}.png,p{p}"),
    "a label that is a fact": table("image,label,patient", "{i}.png,benign,p{p}"),
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_finds_its_case(tmp_path, text):
    found = with_table(tmp_path / "data", text)
    assert found.layout == "images/ and labels/" and patients(found) == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert not found.warnings


@pytest.mark.parametrize(
    "column",
    ["Patient", "patient_id", "PatientID", "Patient ID", "participant_id", "subject", "subject_id", "pid", "Subj."],
)
def test_every_usual_name_keeps_patients_together(tmp_path, column):
    found = with_table(tmp_path / "data", table(f"case,{column}"))
    assert patients(found) == ["p0", "p0", "p1", "p1", "p2", "p2"]
    for training, validation, _ in (found.split(fold) for fold in range(3)):
        assert not {found.group_of(i) for i in training} & {found.group_of(i) for i in validation}


def test_a_patient_column_names_the_cases_where_nothing_else_does(tmp_path):
    found = with_table(tmp_path / "data", table("PatientID,age", "{i},61"))
    assert found.entry("003").facts == {"patient": "003", "age": "61"} and patients(found) == IDS


def test_a_blank_patient_is_none(tmp_path):
    found = with_table(tmp_path / "data", table().replace("p1", "nan"))
    assert patients(found)[2:4] == ["002", "003"] and "2 cases lack a patient, such as 002" in found.warnings[0]


@pytest.mark.parametrize(
    ("column", "warned"),
    [
        ("block", True),
        ("Nr", True),
        ("age", False),
        ("site", False),
        ("width", False),
        ("acquired", False),
        ("subject_code", True),
        ("icd_code", False),
    ],
)
def test_an_unused_column_that_looks_like_patients_is_a_warning(tmp_path, column, warned):
    entry = {"age": "6{n}", "site": "A", "width": "{p}", "acquired": "2020-01-0{p}"}.get(column, "x{p}")
    found = with_table(tmp_path / "data", table(f"case,{column}", f"{{i}},{entry}"))
    assert any(f"The column `{column.lower()}` is not used" in text for text in found.warnings) == warned


MANIFESTS = {
    "paths": table("image_path,mask_path", "images/{i}.png,labels/{i}.png"),
    "image and label_path": table("image,label_path", "images/{i}.png,labels/{i}.png"),
    "img and seg": table("IMG,Seg", "images/{i}.png,labels/{i}.png"),
    "filename and mask": table("filename,mask", "{i}.png,{i}.png"),
    "stems": table("image,mask", "{i},{i}"),
    "an id": table("image_id,image,mask", "{i},images/{i}.png,labels/{i}.png"),
    "an id alone": table("image_id,mask", "{i},labels/{i}.png"),
    "a width": table("image,mask,image_width", "images/{i}.png,labels/{i}.png,64"),
    "a width like a name": table("image,mask,image_width", "images/{i}.png,labels/{i}.png,001"),
    "windows paths": table("image,label", "images\\{i}.png,.\\labels\\{i}.png"),
    "paths of another machine": table("image,label", "C:\\a b\\images\\{i}.png,/mnt/x/labels/{i}.png"),
    "an empty row": table("image,label", "images/{i}.png,labels/{i}.png") + ",\n",
    "ids with ending": table("case,image,label", "{i}.PNG,images/{i}.png,labels/{i}.png"),
    "two columns of one thing": table("image,image_path,label", "{i},images/{i}.png,labels/{i}.png"),
    "a class beside a mask": table("image,label,mask", "images/{i}.png,benign,labels/{i}.png"),
}


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_every_manifest_gives_its_annotated_cases(tmp_path, text):
    found = with_table(tmp_path / "data", text, name="manifest.csv")
    assert found.ids == tuple(IDS) and found.channel_names == ("intensity",)
    for case in IDS:
        entry = found.entry(case)
        assert entry.images[0].parts[-2:] == ("images", f"{case}.png") and entry.label.parts[-2] == "labels"


@pytest.mark.parametrize("nothing", ["", "nan", "NA", "-", "None"])
def test_no_label_is_written_in_many_ways(tmp_path, nothing):
    text = table("image,label", "images/{i}.png,labels/{i}.png").replace("labels/003.png", nothing)
    found = with_table(tmp_path / "data", text, name="manifest.csv")
    assert [entry.id for entry in found.unlabelled] == ["003"] and len(found) == 5


def test_names_in_either_form_of_unicode_are_one_name(tmp_path):
    import unicodedata

    composed, apart = (unicodedata.normalize(form, "Müller_é") for form in ("NFC", "NFD"))
    assert matched([apart], [composed]) == {apart: composed}
    root = pictures(tmp_path / "data", [composed, "b"])
    (root / "manifest.csv").write_text(f"image,label\n{apart}.png,{apart}.png\nb.png,b.png\n", encoding="utf-8")
    assert len(open_dataset(root)) == 2


def test_names_that_are_alike_for_two_cases_match_none():
    assert matched(["1"], ["01", "001"]) == {}
    assert matched(["001", "1"], ["001"]) == {"001": "001"}


REFUSED = {
    "a blank case": (table().replace("003,", ","), "line 5 has no `case`"),
    "cells without quotes": (table().replace("003,p1", "003,p1,x"), "line 5 has 3 cells, but there are 2 columns"),
    "a column twice": (table("case,patient,Patient", "{i},a,b"), "two columns are called `patient`"),
    "two rows": (table() + "003,p5\n", "case '003' has two rows"),
    "no table": ("PK\x03\x04", "this is a workbook"),
    "no text": ("a\0\0\0b", "this is not text"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_table_that_means_two_things_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        with_table(tmp_path / "data", text)


BAD = {
    "a blank case": ("case,image,label\n,images/001.png,labels/001.png\n", "row 2 names no case in `case`"),
    "an absent file": ("image,mask\nimages/9.png,\n", "names images/9.png, which is not there nor in images/"),
    "its own label": ("image,mask\nimages/001.png,images/001.png\n", "001.png is named as image and as its own truth"),
    "two annotations": (table("image,mask,seg", "{i},{i},images/{i}.png"), "mask and seg both name annotations"),
    "no image": ("mask,age\nlabels/001.png,3\n", "expected a column `image`"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_a_manifest_that_cannot_be_followed_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        with_table(tmp_path / "data", text, name="manifest.csv")


def test_the_label_of_a_longer_path_is_never_the_image_beside_the_table(tmp_path):
    root = pictures(tmp_path / "data", masks="elsewhere")
    for file in (root / "images").iterdir():
        file.rename(root / file.name)
    (root / "manifest.csv").write_text("image,label\n001.png,masks/001.png\n")
    with pytest.raises(DataError, match=r"names masks/001.png, which is not there"):
        open_dataset(root)


def test_rows_without_a_case_are_named_with_the_closest(tmp_path):
    (tmp_path / "cases.csv").write_text("case,patient\nscan_1,a\nscn_2,b\n")
    facts, notes, warnings = facts_of(tmp_path / "cases.csv", ["scan_1", "scan_2"])
    assert facts == {"scan_1": {"patient": "a"}} and not notes
    assert warnings == [
        "cases.csv has no row for 1 case: scan_2.",
        "1 of 2 rows of cases.csv match no image: 'scn_2' (closest: 'scan_2').",
    ]


CLASSES = [
    "image,label,patient\n1.png,2,a\n2.png,1,a\n3.png,1,b\n",
    "image,mask,patient\n1.png,3,a\n2.png,1,a\n3.png,2,b\n",
    "filename,annotation,patient\n1.png,1,a\n2.png,0,a\n3.png,1,b\n",
]


@pytest.mark.parametrize("text", CLASSES)
def test_a_column_of_classes_names_no_masks(tmp_path, text):
    root = pictures(tmp_path / "data", ["1", "2", "3"])
    (root / "cases.csv").write_text(text)
    found = open_dataset(root)
    assert [found.entry(i).label.stem for i in found.ids] == ["1", "2", "3"] and patients(found) == ["a", "a", "b"]
    (root / "cases.csv").rename(root / "manifest.csv")
    with pytest.raises(DataError, match=r"may be classes"):
        open_dataset(root)


def test_cases_beside_a_manifest_are_read_and_must_agree(tmp_path):
    root = pictures(tmp_path / "data")
    (root / "manifest.csv").write_text(table("image,label,patient", "{i}.png,{i}.png,p{p}"))
    (root / "cases.csv").write_text(table("case,split", "{i},train").replace("005,train", "005,test"))
    found = open_dataset(root)
    assert found.test == ("005",) and patients(found) == ["p0", "p0", "p1", "p1", "p2"]
    (root / "cases.csv").write_text(table("case,patient", "{i},x{p}"))
    with pytest.raises(DataError, match=r"`patient` is 'x0' here and 'p0' elsewhere"):
        open_dataset(root)


@pytest.mark.parametrize(("column", "yes"), [("is_test", "True"), ("test", "1"), ("isTest", "yes")])
def test_flags_are_a_split(tmp_path, column, yes):
    text = table(f"case,{column}", "{i},").replace("005,", f"005,{yes}")
    assert with_table(tmp_path / "data", text).test == ("005",)


def test_a_flag_of_validation_decides_and_one_of_training_is_refused(tmp_path):
    text = table("case,is_valid", "{i},False").replace("005,False", "005,True")
    assert with_table(tmp_path / "data", text).split()[1] == ("005",)
    with pytest.raises(DataError, match=r"`is_train` leaves open"):
        with_table(tmp_path / "other", text.replace("is_valid", "is_train"))
    with pytest.raises(DataError, match=r"`is_valid` leaves open"):
        with_table(tmp_path / "both", table("case,set,is_valid", "{i},train,0"))


def test_an_anonymous_name_is_no_patient_and_one_patient_has_many_spellings(tmp_path):
    text = table("case,PatientName,PatientID", "{i},anonymous,P{p}").replace("005,anonymous,P2", "005,anonymous,p02")
    assert patients(with_table(tmp_path / "data", text)) == ["P0", "P0", "P1", "P1", "P2", "P2"]


def test_a_row_twice_counts_once_and_a_table_with_patients_that_is_not_read_is_a_warning(tmp_path):
    assert len(with_table(tmp_path / "data", table() + "003,p1\n")) == 6
    found = with_table(tmp_path / "other", table(), name="clinical.csv")
    assert found.warnings and "clinical.csv: not read" in found.warnings[0]


def test_a_cell_larger_than_tables_have_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"cases\.csv: line .* is no row of a table"):
        with_table(tmp_path / "data", f"case,{'x' * 140000}\n000,{'x' * 140000}\n")
