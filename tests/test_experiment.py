"""Every line of experiment.yaml acts; facts lie beside it, and what planning alone has read is not edited in vain."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import yaml

import hyoid
from hyoid.core.errors import ConfigError
from hyoid.datasets.phantoms import write_phantoms
from hyoid.experiment import FACTS_FILE, Experiment
from hyoid.run_folder import RunFolder
from hyoid.workflow.question import check_edits
from hyoid.workflow.seeds import pools_of


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planned")
    data = write_phantoms(folder / "data", "cells", 4, 32)
    hyoid.plan(data, into=folder / "run", steps=1, changes=["planning.channels=[4,8]"])
    return folder / "run"


@pytest.fixture
def run(planned, tmp_path):
    return shutil.copytree(planned, tmp_path / "run")


def edit(run, key, value):
    """Put another value into the file, as a person would."""
    file = run / "experiment.yaml"
    tree = yaml.safe_load(file.read_text("utf-8"))
    *groups, last = key.split(".")
    node = tree
    for group in groups:
        node = node[group]
    node[last] = value
    file.write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")


def test_the_facts_of_a_plan_are_read_from_the_file_beside_it(planned):
    experiment = Experiment.read(planned / "experiment.yaml")
    tree = yaml.safe_load((planned / "experiment.yaml").read_text("utf-8"))
    assert not {"preset", "expected", "reasons", "candidates"} & tree["plan"].keys()
    assert experiment.decided.expected.steps == 1 and experiment.decided.candidates
    assert yaml.safe_load(experiment.to_yaml()) == tree


def test_writing_and_reading_gives_the_same_experiment(planned, tmp_path):
    experiment = Experiment.read(planned / "experiment.yaml")
    experiment.write(tmp_path / "experiment.yaml")
    assert Experiment.read(tmp_path / "experiment.yaml") == experiment


def test_a_fact_among_the_settings_is_refused(run):
    edit(run, "plan.expected", {"steps": 5})
    with pytest.raises(ConfigError, match=rf"plan.expected is a fact, not a setting.*{FACTS_FILE}"):
        hyoid.train(run)


def test_a_missing_file_of_facts_is_named(run):
    (run / FACTS_FILE).unlink()
    with pytest.raises(ConfigError, match=rf"{FACTS_FILE}: no such settings file"):
        hyoid.train(run)


def test_a_change_of_a_fact_is_refused(planned, tmp_path):
    data = Experiment.read(planned / "experiment.yaml").data
    with pytest.raises(ConfigError, match=r"--set plan.expected.steps=3: this is a fact of planning"):
        hyoid.plan(data, into=tmp_path / "new", steps=1, changes=["plan.expected.steps=3"])


@pytest.mark.parametrize(
    ("key", "value", "change"),
    [
        ("planning.batch", 2, "planning.batch was None, now 2"),
        ("fold", 1, "fold was 0, now 1"),
        ("patients_on_both_sides", True, "patients_on_both_sides was False, now True"),
    ],
)
def test_an_edit_of_what_only_planning_reads_is_refused(run, key, value, change):
    edit(run, key, value)
    with pytest.raises(ConfigError, match=f"{re.escape(change)}, but only `hyoid plan` reads it"):
        hyoid.train(run)


def test_an_edited_device_that_is_not_there_is_refused_before_training(run):
    edit(run, "device", "cuda:99")
    with pytest.raises(ConfigError, match=r"experiment.yaml: device = 'cuda:99': this machine has cpu"):
        hyoid.train(run)
    assert not (run.parent / "prepared").exists()


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("plan.batch", 0, "plan.batch = 0 does not fit: Input should be greater than or equal to 1."),
        ("plan.patch", [32, 0], "plan.patch.1 = 0 does not fit: Input should be greater than or equal to 1."),
        (
            "plan.foreground_share",
            1.5,
            "plan.foreground_share = 1.5 does not fit: Input should be less than or equal to 1.",
        ),
    ],
)
def test_an_edited_plan_out_of_bounds_is_refused(run, key, value, sentence):
    edit(run, key, value)
    with pytest.raises(ConfigError, match=f"experiment.yaml: {re.escape(sentence)}"):
        hyoid.train(run)


def test_the_name_of_the_net_is_a_fact(run):
    assert yaml.safe_load((run / FACTS_FILE).read_text("utf-8"))["net_name"]
    edit(run, "plan.net_name", "attention_unet")
    with pytest.raises(ConfigError, match=r"plan\.net_name is a fact, not a setting"):
        hyoid.train(run)


def test_an_unknown_setting_of_a_plan_is_refused_with_those_that_can_be_set(planned, run):
    settable = "Known here: dims, preparation, patch, batch, net, "
    with pytest.raises(ConfigError, match=settable):
        Experiment.read(planned / "experiment.yaml").decided.changed(["steps=3"])
    edit(run, "plan.steps", 3)
    with pytest.raises(ConfigError, match=f"there is no setting 'plan.steps'.*{settable}"):
        hyoid.train(run)


def test_runs_that_differ_by_seed_share_the_split_and_another_split_seed_gives_another(planned, tmp_path):
    small = ["planning.channels=[4,8]"]
    for name, options in (("one", []), ("other", ["split_seed=1"])):
        hyoid.plan(planned.parent / "data", into=tmp_path / name, steps=1, seed=1, changes=[*small, *options])
    usual, one, other = (
        (run / "split.yaml").read_text("utf-8") for run in (planned, tmp_path / "one", tmp_path / "other")
    )
    assert usual == one != other


def test_a_run_from_before_the_seed_of_the_split_keeps_the_seed_it_was_split_by(run):
    for file, parse, dump in (
        ("experiment.yaml", yaml.safe_load, yaml.safe_dump),
        ("asked.json", json.loads, json.dumps),
    ):
        tree = parse((run / file).read_text("utf-8"))
        settings = tree.get("experiment", tree)
        settings["seed"] = 3
        del settings["split_seed"]
        (run / file).write_text(dump(tree), "utf-8")
    assert Experiment.read(run / "experiment.yaml").split_seed == 3
    check_edits(RunFolder.open(run))
    edit(run, "fold", 1)
    with pytest.raises(ConfigError, match="fold was 0, now 1"):
        check_edits(RunFolder.open(run))


def test_runs_that_differ_by_seed_alone_are_pooled_each_seed_once(run, tmp_path):
    folders = {"other": tmp_path / "other", "same_again": run, "no_run": tmp_path}
    for seed in (0, 1, 2):
        folders[f"net_seed{seed}"] = shutil.copytree(run, tmp_path / f"net_seed{seed}")
        edit(folders[f"net_seed{seed}"], "seed", seed)
    edit(shutil.copytree(run, folders["other"]), "training.ema", 0.5)
    pools, notes = pools_of(dict(sorted(folders.items())))
    assert pools == {
        "net (3 seeds)": ("net_seed0", "net_seed1", "net_seed2"),
        **{name: (name,) for name in ("no_run", "other", "same_again")},
    }
    assert notes == ("same_again has the settings, plan and seed of net_seed0: not pooled.",)


def test_no_run_is_lost_where_pools_would_have_one_name_and_other_plans_are_told(run, tmp_path):
    folders = {}
    for name, seed, ema in (("n_0", 0, 0.5), ("n_1", 1, 0.5), ("n_2", 0, 0.6), ("n_3", 1, 0.6), ("n", 0, 0.7)):
        folders[name] = shutil.copytree(run, tmp_path / name)
        edit(folders[name], "seed", seed)
        edit(folders[name], "training.ema", ema)
    named = {"n_0 & n_1 (2 seeds)": ("n_0", "n_1"), "n_2 & n_3 (2 seeds)": ("n_2", "n_3"), "n": ("n",)}
    assert pools_of(folders) == (named, ())
    edit(folders["n_3"], "plan.batch", 99)
    pools, notes = pools_of(folders)
    assert sorted(run for runs in pools.values() for run in runs) == sorted(folders)
    assert notes == ("n_3 was asked for like n_2, but its plan differs (batch): not pooled.",)
