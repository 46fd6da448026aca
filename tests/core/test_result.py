"""Results as plain values."""

from pathlib import Path

from hyoid.core.result import Line, Plain, document


def test_a_document_has_null_for_nan_and_infinity_at_any_depth():
    assert document({"a": [float("nan"), (1.5, float("-inf"))], 2: Path("x/y")}) == {
        "a": [None, [1.5, None]],
        "2": "x/y",
    }


def test_one_path_is_a_line_and_several_are_lines():
    assert list(Plain("page", Path("a")).shown(80)) == [Line("a")]
    assert list(Plain("files", [Path("a"), Path("b")]).shown(80)) == [Line("a"), Line("b")]
    assert document(Plain("files", [Path("a")]).to_json()) == {"files": ["a"]}
