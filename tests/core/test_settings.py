"""Frozen, strict settings that read and write YAML."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from hyoid.core.errors import ConfigError
from hyoid.core.settings import Settings


class Inner(Settings):
    steps: int = Field(100, description="How many.")
    shape: tuple[int, ...] = Field((4, 5), description="Voxels.")


class Outer(Settings):
    inner: Inner = Inner()
    name: str | None = Field(None, description="What it is called.")


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(ValidationError):
        Inner().steps = 3


class Parts(Settings):
    options: dict[str, int] = Field({}, description="Options.")


def test_equal_settings_have_equal_hashes_also_with_mappings():
    one, other = Parts(options={"a": 1, "b": 2}), Parts(options={"b": 2, "a": 1})
    assert one == other and hash(one) == hash(other)
    assert len({one, other, Parts(options={"a": 2})}) == 2


def test_yaml_there_and_back(tmp_path: Path):
    settings = Outer(inner=Inner(steps=7, shape=(1, 2, 3)), name="ärmel")
    settings.write(tmp_path / "a.yaml")
    assert Outer.read(tmp_path / "a.yaml") == settings
    assert "shape: [1, 2, 3]" in settings.to_yaml()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("inner.steps=200", Outer(inner=Inner(steps=200))),
        ("inner.shape=[8, 9]", Outer(inner=Inner(shape=(8, 9)))),
        ("name=null", Outer(name=None)),
        ("name=liver", Outer(name="liver")),
    ],
)
def test_a_change_is_given_as_text(change, expected):
    assert Outer(name="x").changed([change]).inner == expected.inner
    assert Outer().changed([change]) == expected


def test_changes_are_given_as_values():
    assert Outer().changed({"inner.steps": 3, "name": "a"}) == Outer(inner=Inner(steps=3), name="a")


@pytest.mark.parametrize("key", ["inner.step", "iner.steps"])
def test_an_unknown_change_names_the_closest(key):
    with pytest.raises(ConfigError, match=r"Did you mean '(steps|inner)'"):
        Outer().changed([f"{key}=1"])


@pytest.mark.parametrize("change", ["inner.steps", "inner.steps=[", "inner.steps=many"])
def test_an_unreadable_change_is_refused(change):
    with pytest.raises(ConfigError, match="--set"):
        Outer().changed([change])


def test_an_unknown_key_names_file_and_closest(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_text("inner:\n  stepz: 3\n")
    with pytest.raises(ConfigError, match=r"a\.yaml.*'inner\.stepz'.*Did you mean 'steps'"):
        Outer.read(path)


@pytest.mark.parametrize("text", ["- 1\n", "a: [", "inner: {steps: many}", "\x00"])
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.yaml"):
        Outer.read(path)


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.yaml: this file is empty; .* Put back what was in it\.$"):
        Outer.read(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        Outer.read(tmp_path / "none.yaml")


class Checked(Settings):
    low: int = Field(0, description="Least.")
    high: int = Field(1, description="Most.")

    @model_validator(mode="after")
    def _ordered(self) -> "Checked":
        if self.low > self.high:
            raise ValueError("low is above high")
        if self.low < -9:
            raise ConfigError("Numbers below -9 are not known.")
        return self


class Around(Settings):
    part: Checked = Checked()
    many: tuple[int, ...] = Field((), description="Numbers.")
    kind: Literal["round", "square"] | None = Field(None, description="Shape.")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"part": {"low": 3}}, "part does not fit: low is above high."),
        ({"part": {"low": -10}}, "Numbers below -9 are not known."),
        ({"many": "a" * 500}, "many = '" + "a" * 59 + " ... does not fit: Input should be a valid tuple."),
        ({"kind": "sqare"}, "kind cannot be 'sqare'. Did you mean 'square'? Known: round, square."),
    ],
)
def test_what_does_not_fit_is_one_short_sentence_however_it_comes(values, message):
    for read in (Around.parse, Around().changed, Around.model_validate, lambda one: Around(**one)):
        with pytest.raises(ConfigError) as caught:
            read(values)
        assert str(caught.value).endswith(f": {message}")
        assert "\n" not in str(caught.value)


def test_a_wrong_value_of_a_single_group_is_a_sentence():
    with pytest.raises(ConfigError, match=r"^Checked: low is above high\.$"):
        Checked(low=3)


def test_a_change_that_yaml_takes_for_a_wrong_date_is_refused():
    with pytest.raises(ConfigError, match="not a readable value"):
        Outer().changed(["name=2020-13-45"])


class Several(Settings):
    groups: dict[str, Inner] = Field({}, description="Groups by name.")
    options: dict[str, dict[str, float]] = Field({}, description="Options by name.")
    rows: tuple[Inner, ...] = Field((), description="Groups in order.")


def test_a_change_reaches_into_a_mapping_of_groups():
    assert Several().changed(["groups.a.steps=3"]) == Several(groups={"a": Inner(steps=3)})
    changed = Several(groups={"a": Inner(steps=3)}).changed(["groups.a.shape=[1]", "groups.b={steps: 4}"])
    assert changed.groups == {"a": Inner(steps=3, shape=(1,)), "b": Inner(steps=4)}
    assert Several().changed(["options.a.b=3"]).options == {"a": {"b": 3.0}}


@pytest.mark.parametrize("change", ["groups.a.step=3", "groups={a: {step: 3}}", "rows=[{step: 3}]"])
def test_an_unknown_name_in_a_group_of_several_names_the_closest(change):
    with pytest.raises(ConfigError, match=r"step'\. Did you mean 'steps'\? Known here: steps, shape\."):
        Several().changed([change])


class Open(Settings):
    inner: Inner | None = None


def test_what_lies_in_an_empty_group_is_set_with_all_of_it():
    with pytest.raises(ConfigError, match=r"plan\.inner is null, so plan\.inner\.steps cannot be set alone"):
        Open().changed(["inner.steps=3"], group="plan.")
