"""Several runs that answer, are judged and reported as one, and a run that follows another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import hyoid
from hyoid.core.errors import ConfigError
from hyoid.datasets.phantoms import write_phantoms
from hyoid.evaluation.report import Report
from hyoid.files.formats import read_image
from hyoid.prediction.ensemble import Ensemble, Member
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.united import United
from hyoid.preparation.store import Store
from hyoid.run_folder import EnsembleFolder, RunFolder, open_run
from hyoid.training.checkpoint import write_checkpoint
from hyoid.workflow.answers import predictor_of

SMALL = ("planning.channels=[4,8]", "planning.batch=2")


def trained(data: Path, into: Path, *changes: str, seed: int = 0) -> Path:
    """A run whose net has random weights, as if it had been trained."""
    hyoid.plan(data, into=into, steps=3, seed=seed, threads=1, changes=[*SMALL, *changes])
    torch.manual_seed(seed)
    net = RunFolder.open(into).plan.net.build()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    tensors = {f"average/{name}": tensor for name, tensor in net.state_dict().items()}
    write_checkpoint(into / "weights" / "last.safetensors", tensors, {"finished": True})
    return into


@pytest.fixture(scope="module")
def organs(tmp_path_factory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("data") / "organs", "organs", num_cases=6, size=32, seed=1)


@pytest.fixture(scope="module")
def runs(organs, tmp_path_factory) -> Path:
    """Three seeds of one plan on one split, a 2D net and three folds, side by side."""
    folder = tmp_path_factory.mktemp("ensembles")
    volumes = ("planning.patch=[16,16,16]", "planning.dims=3")
    for seed in range(3):
        trained(organs, folder / f"seed_{seed}", *volumes, seed=seed)
    trained(organs, folder / "slices", "planning.dims=2", "planning.patch=[32,32]", "planning.spacing_mm=[3,2,2]")
    for fold in range(3):
        trained(organs, folder / f"fold_{fold}", *volumes, "num_folds=3", f"fold={fold}")
    return folder


def with_members(runs: Path, tmp_path: Path, *members: str | Member, **options) -> Path:
    """An ensemble of copies of some runs."""
    folder = tmp_path / "ensemble"
    folder.mkdir()
    ensemble = Ensemble(members=list(members), **options)
    for member in ensemble.members:
        shutil.copytree(runs / member.run, folder / member.run)
    ensemble.write(folder / "ensemble.yaml")
    return folder


def probabilities(folder: Path, case: str) -> np.ndarray:
    """Background, left and right kidney and spine (4, *S), the background as what these leave."""
    names = ("left_kidney", "right_kidney", "spine")
    maps = np.stack([read_image(folder / f"{case}_{name}.nii.gz", "probabilities").array[0] for name in names])
    return np.concatenate([1 - maps.sum(0, keepdims=True), maps])


def assert_is_the_mean(ensemble: Path, members: list[Path], weights: list[float], images: Path, into: Path) -> None:
    """The ensemble's answers are the mean of its members' probabilities, decoded, where that is not a tie."""
    for number, member in enumerate(members):
        hyoid.predict(member, [images], into=into / str(number), probabilities=True)
    files = hyoid.predict(ensemble, [images], into=into / "united", probabilities=True)
    for file in files:
        case = file.name.removesuffix(".nii.gz")
        shares = np.array(weights) / sum(weights)
        parts = [share * probabilities(into / str(number), case) for number, share in enumerate(shares)]
        mean = np.sum(parts, 0)
        np.testing.assert_allclose(probabilities(into / "united", case)[1:], mean[1:], atol=2e-3)
        first, second = np.sort(mean, 0)[:-3:-1]
        clear = first - second > 4e-3
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(read_image(file, "labels").array[0][clear], mean.argmax(0)[clear])


def test_three_runs_of_one_plan_answer_as_the_mean_of_their_probabilities(runs, organs, tmp_path):
    names = ["seed_0", "seed_1", "seed_2"]
    folder = with_members(runs, tmp_path, "seed_0", "seed_1", Member(run="seed_2", weight=2))
    assert isinstance(predictor_of(open_run(folder)), Predictor)
    images = next((organs / "images").iterdir())
    assert_is_the_mean(folder, [folder / name for name in names], [1, 1, 2], images, tmp_path)


def test_runs_of_different_plans_answer_as_the_mean_of_their_probabilities(runs, organs, tmp_path):
    folder = with_members(runs, tmp_path, "seed_0", "slices")
    assert isinstance(predictor_of(open_run(folder)), United)
    assert_is_the_mean(folder, [folder / "seed_0", folder / "slices"], [1, 1], organs / "images", tmp_path)


@pytest.mark.slow
def test_folds_give_one_table_in_which_each_case_is_answered_by_the_fold_that_did_not_see_it(runs, tmp_path):
    folder = with_members(runs, tmp_path, "fold_0", "fold_1", "fold_2")
    hyoid.predict(folder)
    report = hyoid.evaluate(folder)
    assert sorted(report.cases) == sorted(open_run(folder).dataset.ids)
    for fold in range(3):
        run = folder / f"fold_{fold}"
        for path in hyoid.predict(run):
            assert (folder / "predictions" / path.name).read_bytes() == path.read_bytes()
        hyoid.evaluate(run)
    page = hyoid.report(folder)
    assert "each answered by members that did not learn from it" in page.read_text()
    assert "Mean of the probabilities of 3 nets" in (folder / "MODEL_CARD.md").read_text()
    assert list(hyoid.compare([folder, folder / "fold_0"]).reports) == ["ensemble", "fold_0"]
    assert "isensee" in hyoid.cite(folder)
    assert Report.read(folder).cases == report.cases


def test_a_case_is_answered_by_all_members_that_declare_it_unseen(runs, tmp_path):
    cases = RunFolder.open(runs / "seed_0").dataset.ids
    members = [Member(run="seed_0", unseen=cases[:2]), Member(run="seed_1", unseen=cases[1:3])]
    folder = with_members(runs, tmp_path, *members, Member(run="seed_2", unseen=()))
    assert open_run(folder).unseen == {cases[0]: (0,), cases[1]: (0, 1), cases[2]: (1,)}
    Ensemble(members=[Member(run="seed_0", unseen=("nobody",))]).write(folder / "ensemble.yaml")
    with pytest.raises(ConfigError, match="unseen: seed_0 has no case 'nobody'"):
        hyoid.predict(folder)


@pytest.mark.parametrize("name", ["/etc", "../other", "a/../../b", "C:\\runs", "\\\\host\\runs", "", "a\0b"])
def test_members_outside_the_folder_are_refused(name):
    with pytest.raises(ConfigError, match=r"members.0.run = .* does not fit: expected the name of a folder inside"):
        Ensemble(members=[name])


@pytest.mark.parametrize("weight", [".inf", ".nan", "0", "-1", "1e+308", "1000001"])
def test_weights_that_are_not_finite_or_too_large_are_refused(tmp_path, weight):
    (tmp_path / "ensemble.yaml").write_text(f"members: [{{run: seed_0, weight: {weight}}}]\n")
    with pytest.raises(ConfigError, match=r"members.0.weight = .* expected a number above 0 and at most 1000000\.\Z"):
        hyoid.predict(tmp_path)


def test_an_ensemble_without_members_is_refused():
    with pytest.raises(ConfigError, match="members: expected at least one run, got none"):
        Ensemble(members=[])


def test_an_ensemble_in_an_ensemble_is_refused(runs, tmp_path):
    inner = with_members(runs, tmp_path, "seed_0")
    Ensemble(members=[inner.name]).write(tmp_path / "ensemble.yaml")
    with pytest.raises(ConfigError, match="ensemble is an ensemble, and ensembles cannot be nested; put its runs"):
        hyoid.predict(tmp_path)


@pytest.mark.parametrize("mistake", ["unknown case", "logits", "format"])
def test_what_is_refused_does_not_cost_the_earlier_answers(runs, tmp_path, mistake):
    folder = with_members(runs, tmp_path, "seed_0", "slices")
    files = hyoid.predict(folder)
    if mistake == "unknown case":
        Ensemble(members=[Member(run="seed_0", unseen=("zz",))]).write(folder / "ensemble.yaml")
    elif mistake == "logits":
        Ensemble(members=["seed_0", "slices"], unite="logits").write(folder / "ensemble.yaml")
    else:
        experiment = RunFolder(folder / "seed_0").experiment
        experiment.changed({"prediction.format": "png"}).write(folder / "seed_0" / "experiment.yaml")
    with pytest.raises(ConfigError):
        hyoid.predict(folder)
    assert files and all(file.is_file() for file in files)


def test_a_link_that_leads_out_of_the_folder_is_refused(runs, tmp_path):
    folder = tmp_path / "ensemble"
    folder.mkdir()
    (folder / "seed_0").symlink_to(runs / "seed_0")
    Ensemble(members=["seed_0"]).write(folder / "ensemble.yaml")
    with pytest.raises(ConfigError, match="seed_0 leads out of the folder; put the run into it"):
        hyoid.predict(folder)


def test_a_file_with_code_runs_none(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "ensemble.yaml").write_text(f"members: !!python/object/apply:os.mkdir ['{mark}']\n")
    with pytest.raises(ConfigError, match="not readable YAML"):
        hyoid.predict(tmp_path)
    assert not mark.exists()


def test_members_that_take_other_images_are_refused(runs, tmp_path):
    cells = write_phantoms(tmp_path / "cells", "cells", num_cases=4, size=48)
    folder = with_members(runs, tmp_path, "seed_0")
    trained(cells, folder / "cells", "planning.patch=[32,32]")
    Ensemble(members=["seed_0", "cells"]).write(folder / "ensemble.yaml")
    with pytest.raises(ConfigError, match="members alike in axes of images: seed_0 has 3, cells 2"):
        hyoid.predict(folder)


def test_logits_of_different_plans_are_not_averaged(runs, tmp_path):
    folder = with_members(runs, tmp_path, "seed_0", "slices", unite="logits")
    with pytest.raises(ConfigError, match="members of different plans are united by `probabilities` only"):
        predictor_of(open_run(folder))


def test_answers_are_not_written_among_the_files_of_an_ensemble(runs, organs, tmp_path):
    folder = with_members(runs, tmp_path, "seed_0")
    with pytest.raises(ConfigError, match="mixed with the files of a run"):
        hyoid.predict(folder, [organs / "images"], into=folder)


@pytest.mark.slow
def test_a_later_stage_is_trained_and_judged_like_any_run(runs, organs, tmp_path):
    before = f"planning.before={runs / 'seed_0'}"
    page = hyoid.run(organs, into=tmp_path / "second", steps=2, changes=[*SMALL, before, "planning.before_saw=true"])
    assert page.is_file() and RunFolder.open(tmp_path / "second").experiment.decided.net.in_channels == 4


@pytest.mark.slow
def test_a_cascade_learns_from_answers_that_never_saw_its_cases_and_answers_new_images_alone(runs, organs, tmp_path):
    folds = with_members(runs, tmp_path, "fold_0", "fold_1", "fold_2")
    patch = "planning.patch=[16,16,16]"
    second = trained(organs, tmp_path / "second", patch, f"planning.before={folds}")
    plan = RunFolder.open(second).plan
    assert plan.net.in_channels == 4 and plan.preparation.before.structures == ("left_kidney", "right_kidney", "spine")
    store = Store.open(hyoid.prepare(second))
    case = store.ids[0]
    answer = read_image(folds / "predictions" / f"{case}.nii.gz", "labels").array
    assert [int(np.round(store.image(case)[2]).sum() > 0), store.image(case).shape[0]] == [int((answer == 2).any()), 4]
    hyoid.predict(second)
    assert hyoid.evaluate(second).cases
    files = hyoid.predict(second, [organs / "images"], into=tmp_path / "out")
    last = (tmp_path / "out" / "answers.jsonl").read_text().splitlines()[-1]
    assert len(files) == 6 and json.loads(last)["failed"] == {}


def test_a_cascade_refuses_a_run_that_learned_from_its_cases_unless_it_is_allowed(runs, organs, tmp_path):
    asked = {"into": tmp_path / "second", "steps": 3, "threads": 1}
    before = f"planning.before={runs / 'seed_0'}"
    with pytest.raises(ConfigError, match=r"learned from \d of 6 cases, and answers them better than new ones"):
        hyoid.plan(organs, **asked, changes=[*SMALL, before])
    plan = hyoid.plan(organs, **asked, changes=[*SMALL, before, "planning.before_saw=true"])
    assert plan.preparation.before.run == str(runs / "seed_0")
    assert Store.open(hyoid.prepare(tmp_path / "second")).image("organs_000").shape[0] == 4


def test_an_ensemble_has_the_settings_of_its_first_member_and_the_structures_of_all(runs, tmp_path):
    folder = EnsembleFolder(with_members(runs, tmp_path, "seed_1", "slices"))
    assert folder.experiment.seed == 1 and folder.task.structures == ("left_kidney", "right_kidney", "spine")
