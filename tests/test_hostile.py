"""Runs, tables and headers that mean harm: what each tries, and the sentence it gets (docs/concepts/trust.md)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import yaml
import zarr

import hyoid
from hyoid import ConfigError, DataError, HyoidError
from hyoid.core.extensions import load_extensions
from hyoid.core.files import append_to, inside, write_text
from hyoid.datasets.dataset import open_dataset
from hyoid.datasets.phantoms import write_phantoms
from hyoid.evaluation.record import as_stored, as_text
from hyoid.files.formats import write_image
from hyoid.reporting.card import _harmless
from hyoid.run_folder import RunFolder, Split

EVIL = [
    "../x",
    "a/../../x",
    "/etc/x",
    "..",
    "",
    " ",
    "a\0b",
    "..\\x",
    "a\\..\\..\\x",
    "\\x",
    "C:\\x",
    "a\nb",
    ".",
    "./b",
    "b/",
    "a//b",
]


@pytest.mark.parametrize("name", EVIL)
def test_no_name_of_a_case_or_structure_leads_out_of_a_folder(name, tmp_path):
    with pytest.raises(DataError, match="cannot name a file in a folder"):
        hyoid.Dataset.from_dict({"cases": [{"id": name, "images": ["a.png"]}]} | BARE)
    with pytest.raises(ConfigError, match=r"names: .* cannot name a file in a folder"):
        hyoid.Labels.of({1: name})
    (tmp_path / "split.yaml").write_text(yaml.safe_dump({"training": ["a"], "validation": [name]}))
    with pytest.raises(ConfigError, match=r"split.yaml: validation .*cannot name a file in a folder"):
        Split.read(tmp_path / "split.yaml")


BARE = {"root": "x", "layout": "x", "labels": {"names": [], "values": []}, "channel_names": [], "encoding": {}}


@pytest.mark.parametrize("name", ["ward/scan", "a.b", "..a", "T2 / FLAIR", "=cmd", "<b>", "ünï 名", "a\\b", "a:b"])
def test_other_names_are_taken_as_they_are(name):
    assert hyoid.Labels.of({1: name}).names == (name,)


def test_a_manifest_is_refused_with_its_row(tmp_path):
    (tmp_path / "manifest.csv").write_text("case,image\na,a.png\n../b,b.png\n")
    with pytest.raises(DataError, match=r"manifest.csv, row 3: '\.\./b' cannot name a file in a folder; expected a na"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"dataset": {"../b": {"images": ["b.png"]}}, "labels": {"a": 1}}))
    with pytest.raises(DataError, match=r"dataset.json: '\.\./b' cannot name a file in a folder"):
        open_dataset(tmp_path)


def test_a_run_that_names_a_case_outside_is_refused_with_the_file(tmp_path):
    run = RunFolder(tmp_path)
    run.write_json("dataset.json", {"cases": [{"id": "../../x", "images": ["a.png"]}]} | BARE)
    with pytest.raises(DataError, match=r"dataset.json: A case: '\.\./\.\./x' cannot name a file in a folder"):
        run.dataset


def test_links_do_not_lead_writers_out_of_a_folder(tmp_path):
    folder, away = tmp_path / "run", tmp_path / "away"
    folder.mkdir(), away.mkdir()
    links = {"weights": ("weights", "weights/engines", "weights/tensorboard"), "tested": ("test", "test/predictions")}
    for what, names in {**links, "predictions": ("predictions",), "before": ("before",)}.items():
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(away)
            with pytest.raises(HyoidError, match=rf"/{name}: this leads out of .*run, to .*away; hyoid writes inside"):
                getattr(RunFolder(folder), what)
            (folder / name).unlink()
    (away / "precious").write_text("precious")
    for name in (".lock", "log.txt", "answers.jsonl"):
        (folder / name).symlink_to(away / "precious")
        with pytest.raises(OSError):
            append_to(folder / name)
    assert (away / "precious").read_text() == "precious"
    assert inside(folder, "a/b.png") == folder / "a" / "b.png"


def test_a_run_executes_only_python_files_that_were_named_or_approved_as_they_are(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    monkeypatch.setattr("hyoid.core.extensions._sources", {})
    code = "from pathlib import Path\nwith Path(__file__).with_suffix('.ran').open('a') as file:\n    file.write('x')\n"
    evil, ran = tmp_path / "évil.py", tmp_path / "évil.ran"
    evil.write_text(code)
    experiment = hyoid.Experiment(data="d", extensions=(str(evil),), task="regions", labels=hyoid.Labels.of({1: "a"}))
    (tmp_path / "run").mkdir()
    experiment.write(tmp_path / "run" / "experiment.yaml")

    def opened(runs_code: bool = True) -> hyoid.Experiment:
        return RunFolder.open(tmp_path / "run", runs_code).experiment

    refused = r"experiment.yaml: it would run the Python file .*évil.py, .* approve it with `hyoid trust .*évil.py`\.$"
    for verb in (hyoid.load, hyoid.train):
        with pytest.raises(ConfigError, match=refused):
            verb(tmp_path / "run")
    assert opened(runs_code=False) == experiment and "This is done without it." in caplog.text and not ran.exists()
    (mark,) = hyoid.trust([evil])
    assert mark.parent == tmp_path / "mine" / "hyoid" / "trusted" and opened() and ran.read_text() == "x"
    monkeypatch.setattr("hyoid.core.extensions._sources", {})
    evil.write_text(code + "# changed\n")
    with pytest.raises(ConfigError, match=refused):
        opened()
    load_extensions([str(evil)])  # as `--set extensions=[...]` names it
    assert ran.read_text() == "xx"
    monkeypatch.setattr("hyoid.core.extensions._sources", {})
    assert opened() and ran.read_text() == "xxx"
    with pytest.raises(ConfigError, match="is not a Python file"):
        hyoid.trust([tmp_path / "missing.py"])


HEADERS = {
    "mhd": "NDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = {}\n",
    "list.mhd": "NDims = 3\nDimSize = 2 2 1\nElementType = MET_UCHAR\nElementDataFile = LIST\n{}\n",
    "colon.mhd": "NDims: 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile : {}\n",
    "blank.mhd": "NDims = 2\nDimSize = 2 2\n\n \nElementType = MET_UCHAR\nComment =\n\nElementDataFile = {}\n",
    "list.colon.mhd": "NDims = 3\nDimSize = 2 2 1\nElementType = MET_UCHAR\nElementDataFile :LIST 2\n{}\n",
    "pattern.mhd": "NDims = 3\nDimSize = 2 2 1\nElementType = MET_UCHAR\nElementDataFile = {}%d 1 1 1\n",
    "nhdr": "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 2 2\nencoding: raw\ndata file: {}\n",
    "list.nhdr": "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 1\nencoding: raw\ndatafile: LIST\n{}\n",
}


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("way", ["../secret", "{root}/secret", "link"])
def test_a_header_reads_voxels_in_its_own_folder_only(kind, way, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("secret", "secret1", "images/voxels", "images/voxels1"):
        (tmp_path / name).write_bytes(b"\1\2\3\4")
    for name in ("link", "link1"):
        (folder / name).symlink_to(tmp_path / "secret")
    for name, data in (("evil", way.format(root=tmp_path)), ("good", "voxels")):
        (folder / f"{name}.{kind}").write_text(HEADERS[kind].format(data))
    with pytest.raises(DataError, match=r"leads out of its folder; put both into one folder|needs a first number"):
        hyoid.read_image(folder / f"evil.{kind}")
    assert hyoid.read_image(folder / f"good.{kind}").array.sum() == 10


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("ElementDataFile: pipe\n", "a pipe, a socket or a device"),
        ("ElementDataFile = LOCAL\0\n", "its header has the line"),
        ("Comment\nElementDataFile = LOCAL\nElementDataFile = ../secret\n", "its header has the line 'Comment'"),
        ("ElementDataFile\0 = LOCAL\n", "its header has the line"),
        ("ElementDataFile = LIST\ngood\n", "it names 1 data files of 2"),
        ("ElementDataFile = v%d 1 2 0\n", "counts from 1 to 2 in steps of 0"),
        ("ElementDataFile = v%d 1 2\n", "needs a first number, a last one and a step"),
        ("ElementDataFile = ~/good\n", "is no plain name of a data file"),
        ("Offset = 0 0\n0\nElementDataFile = good\n", "its header has the line '0'"),
        ("Offset = 0 0\nElementDataFile = good\n", "Offset is 0 0"),
        ("ElementDataFile = good\n", "claims 8 bytes of voxels, the file has 4"),
        ("ElementDataFile = LOCAL\n1234", "claims 8 bytes of voxels, the file has 4"),
    ],
)
def test_a_metaimage_header_is_understood_whole_or_refused(end, words, tmp_path, capfd):
    (tmp_path / "good").write_bytes(b"1234")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.mhd").write_text("NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\n" + end)
    with pytest.raises(DataError, match=words):
        hyoid.read_image(tmp_path / "a.mhd")
    assert capfd.readouterr().err == ""


def test_ome_metadata_name_no_file_outside(tmp_path):
    (tmp_path / "images").mkdir()
    for escaped in ("../secret.tif", "&#46;&#46;/secret.tif"):
        xml = f"""<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels DimensionOrder="XYZCT"
        Type="uint8" SizeX="2" SizeY="2" SizeZ="2" SizeC="1" SizeT="1"><TiffData FirstZ="0" IFD="0"/>
        <TiffData FirstZ="1"><UUID FileName="{escaped}">urn:uuid:1</UUID></TiffData></Pixels></Image></OME>"""
        tifffile.imwrite(tmp_path / "images" / "a.ome.tif", np.ones((2, 2), np.uint8), description=xml, metadata=None)
        with pytest.raises(DataError, match=r"it names \.\./secret.tif, which leads out of its folder"):
            hyoid.read_image(tmp_path / "images" / "a.ome.tif")


def test_the_voxels_of_a_pair_are_no_link_to_elsewhere(tmp_path):
    (tmp_path / "images").mkdir()
    nibabel.save(nibabel.Nifti1Pair(np.ones((2, 2, 2), np.uint8), np.eye(4)), tmp_path / "images" / "a.hdr")
    (tmp_path / "images" / "a.img").rename(tmp_path / "secret")
    (tmp_path / "images" / "a.img").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="leads out of its folder"):
        hyoid.read_image(tmp_path / "images" / "a.hdr")


PIPES = [
    "a.nii.gz",
    "a.nii",
    "a.mha",
    "a.nhdr",
    "a.png",
    "a.tif",
    "a.npy",
    "a.dcm",
    "a.mgz",
    "a.csv",
    "a.json",
    "a.yaml",
]


@pytest.mark.parametrize("name", PIPES)
def test_pipes_are_not_opened(name, tmp_path):
    os.mkfifo(tmp_path / name)
    (problem,) = hyoid.inspect(tmp_path / name).problems
    assert problem.endswith(f"{name}: expected a file, but this is a pipe, a socket or a device.")


@pytest.mark.parametrize("place", ["manifest.csv", "images/a.png", "labels/a.png", "labels.yaml", "images/scan"])
def test_pipes_in_a_data_set_are_not_opened(place, tmp_path):
    for folder in ("images", "labels"):
        write_image(tmp_path / folder / "b.png", hyoid.Image(np.eye(8, dtype=np.uint8)[None], hyoid.Grid.plain((8, 8))))
    os.mkfifo(tmp_path / place)
    try:
        open_dataset(tmp_path)
    except DataError as error:
        assert "this is a pipe" in str(error) or "labels have no image" in str(error)


def chunked(path: Path, version: int) -> Path:
    write_image(path, hyoid.Image(np.eye(4, dtype=np.uint8)[None], hyoid.Grid.plain((4, 4))))
    if version == 2:
        shutil.rmtree(path)
        group = zarr.create_group(store=path, zarr_format=2, attributes=TWO)
        group.create_array("0", shape=(4, 4), chunks=(4, 4), dtype="uint8")[:] = 1
    return path


TWO = {"multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}]}


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_codecs_are_those_of_a_list_and_chunks_are_files(version, tmp_path):
    path = chunked(tmp_path / "a.zarr", version)
    hyoid.read_image(path)
    facts, key = (path / "0" / ".zarray", "filters") if version == 2 else (path / "0" / "zarr.json", "codecs")
    before = facts.read_text()
    for codec in ("pickle", "vlen-utf8", "json2"):
        tree = json.loads(before)
        tree[key] = [*(tree[key] or []), {"id": codec, "name": f"numcodecs.{codec}", "configuration": {}}]
        facts.write_text(json.dumps(tree))
        with pytest.raises(DataError, match=rf"stored with the codec '.*{codec}', which hyoid does not run; write it"):
            hyoid.read_image(path)
    tree = json.loads(before)
    tree[key] = [
        *(tree[key] or []),
        {"id": "zstd", "name": "pickle"} if version == 3 else {"id": "pickle", "name": "zstd"},
    ]
    facts.write_text(json.dumps(tree))
    with pytest.raises(DataError, match="stored with the codec 'pickle'"):
        hyoid.read_image(path)
    facts.write_text(before)
    chunk = path / "0" / ("0.0" if version == 2 else "c/0/0")
    chunk = chunk if chunk.exists() else path / "0" / "0" / "0"
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(DataError, match="this is a pipe"):
        hyoid.read_image(path)
    (tmp_path / "outside").write_text(before)
    for link in (chunk, facts):
        link.unlink()
        link.symlink_to(tmp_path / "outside")
        with pytest.raises(
            DataError, match=r"a\.zarr: 0/.* leads out of its folder; put the whole image into one folder"
        ):
            hyoid.read_image(path)


def test_zarr_takes_codecs_from_arrays_and_not_from_what_a_group_says_of_them(tmp_path):
    group = zarr.create_group(
        tmp_path / "a.zarr", attributes=json.loads(json.dumps(TWO).replace('"0"', '"attributes"'))
    )
    group.create_array("attributes", shape=(2, 2), dtype="u1")[:] = 1
    facts = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    array = json.loads((tmp_path / "a.zarr" / "attributes" / "zarr.json").read_text())
    array["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    facts["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {"attributes": array}}
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps(facts))
    assert hyoid.read_image(tmp_path / "a.zarr").array.sum() == 4
    (tmp_path / "a.zarr" / "attributes" / "zarr.json").write_text(json.dumps(array))
    with pytest.raises(DataError, match=r"stored with the codec 'numcodecs\.pickle'"):
        hyoid.read_image(tmp_path / "a.zarr")


@pytest.mark.filterwarnings("error")
def test_zarr_scales_are_finite(tmp_path):
    steps = [{"type": "scale", "scale": [float("inf"), 1]}, {"type": "scale", "scale": [0, 1]}]
    tree = {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0", "coordinateTransformations": steps}]}]}
    zarr.create_group(tmp_path / "a.zarr", attributes=tree).create_array("0", shape=(2, 2), dtype="u1")
    with pytest.raises(DataError, match="is no finite number"):
        hyoid.read_image(tmp_path / "a.zarr")


def test_cells_are_no_formulas_and_come_back_as_they_were():
    cells = ["=1+1", "+cmd|x", "-1+1", "@SUM(1)", "\tx", "'=x", "''-x", "'quoted", "-0.5", "+3", "a=b", "", "-"]
    written = [as_text(cell) for cell in cells]
    assert written == [*(f"'{cell}" for cell in cells[:7]), *cells[7:12], "'-"]
    assert [as_stored(cell) for cell in written] == cells


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(("text", "why"), [("[" * 100_000, "nested too deeply"), (BOMB, "aliases stand for more than")])
def test_deep_and_swelling_trees_are_refused(text, why, tmp_path):
    (tmp_path / "manifest.yaml").write_text(text)
    with pytest.raises(DataError, match=rf"manifest.yaml: this is not readable YAML \(.*{why}"):
        open_dataset(tmp_path / "manifest.yaml")
    with pytest.raises(ConfigError, match=rf"manifest.yaml: this is not readable YAML \(.*{why}"):
        Split.read(tmp_path / "manifest.yaml")
    for name in ("dataset.json", "timing.json"):
        (tmp_path / name).write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"dataset.json: this is not readable JSON \(it is nested too deeply\)"):
        open_dataset(tmp_path / "dataset.json")
    with pytest.raises(DataError, match=r"timing.json: this is not readable JSON"):
        RunFolder(tmp_path).read_json("timing.json")


def test_names_are_text_in_a_model_card():
    assert _harmless("<script>x</script> [a](javascript:b)") == "&lt;script>x&lt;/script> [a]\\(javascript:b)"


def test_file_names_that_are_not_utf_8_are_read_written_and_shown(tmp_path):
    image = hyoid.Image(np.eye(16, dtype=np.uint8)[None], hyoid.Grid.plain((16, 16)))
    for folder in ("images", "labels"):
        for name in (os.fsdecode(b"M\xfcller.png"), "b.png"):
            write_image(tmp_path / folder / name, image)
    found = open_dataset(tmp_path)
    assert sorted(found.ids) == ["Müller", "b"]
    write_text(tmp_path / "known.json", json.dumps(found.to_dict(), ensure_ascii=False))
    again = hyoid.Dataset.from_dict(json.loads((tmp_path / "known.json").read_text()))
    assert again == found and again.read("Müller").image.array.sum() == 16
    other = tmp_path / os.fsdecode(b"M\xfc.mha")
    other.write_bytes(b"ObjectType = Image")
    with pytest.raises(DataError, match="opens UTF-8 names only; rename"):
        hyoid.read_image(other)


def test_a_run_in_a_folder_that_is_not_utf_8_is_refused(tmp_path):
    write_phantoms(tmp_path / "data", "cells", num_cases=1, size=32)
    with pytest.raises(ConfigError, match="a run needs a folder whose path is UTF-8"):
        hyoid.plan(tmp_path / "data", into=tmp_path / os.fsdecode(b"M\xfc"))


def test_reports_comparisons_drawings_and_phantoms_cover_only_their_like(tmp_path):
    for name in ("report.html", "comparison.html", "report.json", "comparison.json"):
        (tmp_path / name).write_text("[]")
    with pytest.raises(ConfigError, match=r"this would cover a report.html that is none of hyoid's"):
        hyoid.evaluate(tmp_path / "a", tmp_path / "b" / "c" / "d", into=tmp_path)
    with pytest.raises(ConfigError, match=r"this would cover a comparison.html that is none of hyoid's"):
        hyoid.compare([tmp_path / "a"], into=tmp_path)
    drawing = tmp_path / "net.svg"
    for _ in range(2):
        hyoid.show_nets("unet", svg=drawing)
    drawing.write_text("<svg></svg>")
    with pytest.raises(ConfigError, match="no drawing of hyoid's and is not covered"):
        hyoid.show_nets("unet", svg=drawing)
    with pytest.raises(ConfigError, match="other files lie here and could be covered"):
        write_phantoms(tmp_path, "cells", 1)
