"""Cases for which the memory does not suffice are told what may be wrong with them."""

import pytest

from hyoid.core.errors import DataError
from hyoid.prediction import answering, memory, predictor
from phantoms import make_case, make_predictor

MM = (1.0, 1.0, 1.0)


def test_a_mistaken_voxel_size_is_told_before_memory_is_asked_for():
    with pytest.raises(DataError) as error:
        make_predictor((8, 8, 8), spacing_mm=MM).prepared(make_case((64, 64, 64), (100.0,) * 3))
    assert str(error.value) == (
        "case: the memory does not suffice: its voxels are 100 × 100 × 100 mm, and at the 1 × 1 × 1 mm that the net "
        "learned from it would have 6400 × 6400 × 6400 of them. Check the voxel size in its header."
    )


def test_thick_slices_and_images_that_fit_are_no_mistake(monkeypatch):
    monkeypatch.setattr(memory, "available_gb", lambda device: 0.0)
    assert make_predictor((8, 8, 8), spacing_mm=MM).prepared(make_case((2, 9, 9), (50.0, 1.0, 1.0)))
    monkeypatch.setattr(memory, "available_gb", lambda device: 1.0)
    assert make_predictor((8, 8, 8), spacing_mm=MM).prepared(make_case((2, 2, 2), (5.0, 5.0, 5.0)))


@pytest.mark.parametrize("where", ["prepare", "decode_onto"])
@pytest.mark.parametrize(
    ("spacing_mm", "words"), [((3.0, 1.0, 1.0), "Check the voxel size"), (MM, r"for its 9 × 9 × 9 voxels; cut it")]
)
def test_memory_that_ends_is_a_sentence(where, spacing_mm, words, monkeypatch):
    def ends(*arguments):
        raise MemoryError("Unable to allocate 233. GiB for an array with shape ...")

    monkeypatch.setattr(predictor if where == "prepare" else answering, where, ends)
    with pytest.raises(DataError, match=f"^case: the memory does not suffice.*{words}"):
        one = make_predictor((8, 8, 8), spacing_mm=MM)
        one.predict(make_case((9, 9, 9), spacing_mm), watch=lambda piece: None)
