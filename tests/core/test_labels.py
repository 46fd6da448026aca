"""What annotation values mean."""

import numpy as np
import pytest

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels


def test_one_structure_for_each_value():
    labels = Labels.of({1: "anterior", 3: "posterior"}, ignore=255)
    assert labels.values == ((1,), (3,))
    assert labels.written == (1, 3)
    assert labels.known_values == (0, 1, 3, 255)
    assert not labels.overlapping


def test_regions_overlap():
    labels = Labels(names=("whole", "core"), values=((1, 2, 3), (2, 3)), paint=(1, 2))
    assert labels.overlapping
    assert labels.written == (1, 2)


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("left_kidney", "right_kidney", "liver"), [(0, 1)]),
        (("kidneyRight", "kidneyLeft"), [(1, 0)]),
        (("Femur L", "Femur R"), [(0, 1)]),
        (("lung_upper_lobe_left", "lung_lower_lobe_right"), []),
        (("liver", "leftover"), []),
    ],
)
def test_left_and_right_are_found(names, pairs):
    assert Labels(names=names, values=tuple((i + 1,) for i in range(len(names)))).pairs() == pairs


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ["a"], "values": [[1], [2]]},
        {"names": ["a", "a"], "values": [[1], [2]]},
        {"names": ["a"], "values": [[0]]},
        {"names": ["a"], "values": [[]]},
        {"names": ["a"], "values": [[1]], "ignore": 1},
        {"names": ["a"], "values": [[1]], "paint": [1, 2]},
        {"names": ["a", "b"], "values": [[1], [2]], "objects": True},
        {"names": ["a"], "values": [[7]], "objects": True},
        {"names": ["a"], "values": [[1]], "objects": True, "ignore": 255},
    ],
)
def test_contradictions_are_refused(wrong):
    with pytest.raises(ConfigError, match="labels file"):
        Labels.parse(wrong, "labels file")


def test_numbered_objects_become_the_value_of_their_structure():
    values = np.array([0, 1, 40_000, -1], np.int32)
    nuclei = Labels(names=("nucleus",), values=((1,),), ignore=-1, objects=True)
    assert nuclei.classed(values).tolist() == [0, 1, 1, -1]
    assert Labels.of({1: "a"}).classed(values) is values
