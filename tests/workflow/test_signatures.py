"""What is known of the verbs as data, and the check of their arguments."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

import hyoid
from hyoid.core.result import document
from hyoid.workflow import VERBS
from hyoid.workflow.signatures import Verb

RECORDS = {verb.name: verb for verb in VERBS}
every_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)


def argument(verb: str, name: str):
    [found] = [one for one in RECORDS[verb].arguments if one.name == name]
    return found


@every_verb
def test_every_argument_is_described_as_its_signature_has_it(verb: Verb):
    parameters = inspect.signature(verb.function).parameters
    assert [one.name for one in verb.arguments] == list(parameters)
    for one in verb.arguments:
        assert one.help and one.required == (parameters[one.name].default is inspect.Parameter.empty)
        assert bool(one.flag) == (parameters[one.name].kind is inspect.Parameter.KEYWORD_ONLY)


@every_verb
def test_a_verb_is_summed_up_without_its_arguments_and_made_json(verb: Verb):
    assert verb.summary and "Args" not in verb.summary and ":param" not in verb.summary
    json.dumps(document([asdict(one) for one in verb.arguments]), allow_nan=False)


def test_kinds_follow_from_annotations():
    kinds = {(verb.name, one.name): one.kind for verb in VERBS for one in verb.arguments}
    assert kinds["predict", "images"] == kinds["compare", "runs"] == "paths"
    assert kinds["run", "minutes"] == "number" and kinds["run", "steps"] == "whole"
    assert kinds["run", "start_from"] == "path" and kinds["nets", "name"] == "text"
    assert kinds["train", "resume"] == "flag" and kinds["plan", "changes"] == "settings"
    assert argument("evaluate", "missing").choices == ("error", "worst")
    assert argument("predict", "backend").choices[0] == "torch" and argument("predict", "backend").default is None
    assert argument("nets", "input_shape").flag == "--input" and argument("run", "changes").flag == "--set"


def test_who_stops_is_told_what_remains():
    assert RECORDS["train"].after_stop({}) == "The same command goes on where this one was."
    assert "goes on" in RECORDS["predict"].after_stop({"images": ()})
    assert "begins anew" in RECORDS["predict"].after_stop({"images": (Path("slide.tif"),)})
    assert RECORDS["evaluate"].after_stop({}) == ""


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: hyoid.predict("RUN", np.zeros((4, 4))),
            "images: expected a list of paths, got a ndarray. `hyoid.load(run)` answers arrays and images in memory.",
        ),
        (
            lambda: hyoid.predict("RUN", [torch.zeros(4, 4)], into="x"),
            "images: expected a list of paths, got a list of Tensor. `hyoid.load(run)` answers arrays and images in "
            "memory.",
        ),
        (
            lambda: hyoid.predict("RUN", "scan.nii.gz", into="x"),
            "images: expected a list of paths, got 'scan.nii.gz' alone; write ['scan.nii.gz'].",
        ),
        (
            lambda: hyoid.evaluate(np.zeros((4, 4)), np.zeros((4, 4))),
            "predictions: expected a path, got a ndarray. `hyoid.metrics.measure` compares arrays.",
        ),
        (lambda: hyoid.run(5, into="x"), "data: expected a path, got 5."),
        (
            lambda: hyoid.run("DATA", into="x", changes="seed=1"),
            "changes: expected a list of texts KEY=VALUE, got 'seed=1' alone; write ['seed=1'].",
        ),
        (
            lambda: hyoid.plan("DATA", into="x", changes={"seed": 1}),
            "changes: expected a list of texts KEY=VALUE, got a dict of str.",
        ),
        (lambda: hyoid.run("DATA", into="x", minutes="5"), "minutes: expected a number, got a str."),
        (lambda: hyoid.run("DATA", into="x", steps=2.5), "steps: expected a whole number, got 2.5."),
        (lambda: hyoid.run("DATA", into="x", seed=True), "seed: expected a whole number, got True."),
        (lambda: hyoid.train("RUN", resume="no"), "resume: expected True or False, got a str."),
        (
            lambda: hyoid.evaluate("a", "b", missing="worse"),
            "missing: 'worse' is not known. Did you mean 'worst'? Known: error, worst.",
        ),
        (lambda: hyoid.inspect(""), "An argument is empty; perhaps a variable of the shell has no value."),
        (lambda: hyoid.inspect(None), "path: expected a path, got a NoneType."),
        (lambda: hyoid.compare(Path("a")), "runs: expected a list of paths, got 'a' alone; write ['a']."),
        (lambda: hyoid.show_nets(dims="3"), "dims: expected a whole number, got a str."),
    ],
)
def test_what_is_of_another_kind_is_refused_with_what_to_do(call, sentence):
    with pytest.raises(hyoid.ConfigError) as refused:
        call()
    assert str(refused.value) == sentence


def test_numbers_of_numpy_and_any_path_are_taken():
    argument("run", "seed").check(np.int64(3))
    argument("run", "minutes").check(np.float32(0.5))
    argument("run", "start_from").check(None)
    argument("predict", "images").check((Path("a"), "b"))
    argument("predict", "images").check([])


def test_a_verb_called_with_an_unknown_argument_fails_as_any_function():
    with pytest.raises(TypeError, match="unexpected keyword argument 'minuts'"):
        hyoid.run("DATA", into="x", minuts=3)


def test_a_list_that_no_verb_expects_is_named_by_what_it_holds():
    with pytest.raises(hyoid.ConfigError, match="got a list of str, int"):
        hyoid.inspect(["a", 2])
