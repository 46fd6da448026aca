"""What annotation values mean."""

import numpy as np
import pytest
import yaml

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Code, Labels

BAD_CODES = ("SCT", 7, ["SCT", "1"], ["SCT", None, "a"], ["SCT", 1.5, "a"], ["SCT", "1|2", "a"], ["S" * 17, "1", "a"])


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
        {"names": ["a"], "values": [[1]], "codes": [None, None]},
        *({"names": ["a"], "values": [[1]], "codes": [code]} for code in BAD_CODES),
        {"names": ["a", "b"], "values": [[1], [2]], "objects": True},
        {"names": ["a"], "values": [[7]], "objects": True},
        {"names": ["a"], "values": [[1]], "objects": True, "ignore": 255},
    ],
)
def test_contradictions_are_refused(wrong):
    with pytest.raises(ConfigError, match="labels file"):
        Labels.parse(wrong, "labels file")


def test_a_code_comes_back_from_yaml_as_it_was():
    labels = Labels(names=("liver", "spleen"), values=((1,), (2,)), codes=(["SCT", 10200004, "Liver"], None))
    assert labels.codes == (Code("SCT", "10200004", "Liver"), None) == labels.coded
    assert Labels.parse(yaml.safe_load(labels.to_yaml())) == labels
    assert Labels.of({1: "a", 2: "b"}).coded == (None, None)


def test_numbered_objects_become_the_value_of_their_structure():
    values = np.array([0, 1, 40_000, -1], np.int32)
    nuclei = Labels(names=("nucleus",), values=((1,),), ignore=-1, objects=True)
    assert nuclei.classed(values).tolist() == [0, 1, 1, -1]
    assert Labels.of({1: "a"}).classed(values) is values
