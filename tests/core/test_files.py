"""Nothing half-written under a final name."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from hyoid.core.errors import HyoidError
from hyoid.core.files import atomic_path


def test_a_file_appears_when_complete(tmp_path: Path):
    target = tmp_path / "new" / "a.nii.gz"
    with atomic_path(target) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("done")
        assert not target.exists()
    assert target.read_text() == "done"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_earlier_file(tmp_path: Path):
    target = tmp_path / "a.txt"
    target.write_text("earlier")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_a_folder(tmp_path: Path):
    for text in ("one", "two"):
        with atomic_path(tmp_path / "case") as folder:
            folder.mkdir()
            (folder / text).write_text(text)
    assert [path.name for path in (tmp_path / "case").iterdir()] == ["two"]
    assert list(tmp_path.iterdir()) == [tmp_path / "case"]


def test_many_writers_of_one_folder_all_succeed(tmp_path: Path):
    def write(number: int) -> None:
        with atomic_path(tmp_path / "case") as folder:
            folder.mkdir()
            (folder / "number").write_text(str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(40)))
    assert list(tmp_path.iterdir()) == [tmp_path / "case"]
    assert (tmp_path / "case" / "number").read_text().isdigit()


def test_an_error_leaves_the_earlier_folder(tmp_path: Path):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "a").write_text("earlier")

    def fail() -> None:
        with atomic_path(tmp_path / "case") as folder:
            folder.mkdir()
            (folder / "half").write_text("")
            raise OSError(28, "No space left on device")

    with pytest.raises(HyoidError, match=r"case.*No space left"):
        fail()
    assert [path.name for path in (tmp_path / "case").iterdir()] == ["a"]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HyoidError, match=r"a\.txt: could not be written"), atomic_path(tmp_path / "file" / "a.txt"):
        pass


def test_files_follow_the_umask_whatever_wrote_them(tmp_path: Path):
    with atomic_path(tmp_path / "a") as temporary:
        with tempfile.NamedTemporaryFile(dir=tmp_path, delete=False) as file:
            pass
        Path(file.name).rename(temporary)
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("error", [OSError("3 requested and 1 written"), RuntimeError("itk::ERROR"), OSError(28, "No")])
def test_a_full_disk_is_told_as_such(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    with (
        pytest.raises(HyoidError, match=r"a: could not be written \(the disk is full\)\.$"),
        atomic_path(tmp_path / "a"),
    ):
        raise error
