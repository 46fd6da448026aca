"""Other engines give torch's answers, are kept, and step back where they cannot or do not pay."""

from __future__ import annotations

import logging
import shutil
import signal
import sys

import numpy as np
import pytest
import torch
from torch import nn

from hyoid.core.errors import ConfigError, DataError
from hyoid.core.labels import Labels
from hyoid.engines import choice as choices
from hyoid.engines import programs
from hyoid.engines.agreement import decided_alike
from hyoid.engines.choice import Choice, ChoosingEngine
from hyoid.engines.evidence import Evidence, evidence_of
from hyoid.engines.facts import NetFacts
from hyoid.engines.programs import engines
from hyoid.engines.torch import TorchEngine
from hyoid.nets import build_spec
from hyoid.tasks import task_for
from hyoid.tasks.semantic import Classes
from phantoms import make_case, make_predictor

PATCH = (16, 16)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return build_spec("unet", 2, 1, 3, channels=(4, 8, 8)).build().eval().requires_grad_(False)


FACTS = NetFacts(dims=2, in_channels=1, out_channels=3, divisor=(4, 4), smallest=(4, 4), margin=(0, 0))


def backend(net, name, evidence=None, folder=None, patches=None) -> ChoosingEngine:
    evidence = evidence or Evidence(3, None, task_for(Labels.of({1: "a", 2: "b"})))
    reference = TorchEngine(net, evidence, FACTS, torch.device("cpu"), "32-true")
    return ChoosingEngine(reference, name, (folder, "abc") if folder else None, patches)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in engines if name != "openvino_int8"])
def test_engines_answer_as_torch_does(net, name, tmp_path):
    if name == "compile" and not shutil.which("g++"):
        pytest.skip("torch.compile needs a C++ compiler")
    torch.manual_seed(1)
    tiles = torch.randn(3, 1, *PATCH)
    reference = net(tiles)[0]
    one = backend(net, name, folder=tmp_path)
    for some in (tiles, tiles[:2], tiles[:1]):  # fewer tiles than the engine was made for are filled up
        torch.testing.assert_close(one(some), reference[: len(some)], rtol=0, atol=1e-4)
    assert one.choices[1, 16, 16].program is not None
    if name != "compile":
        [kept] = [file for file in tmp_path.iterdir() if file.suffix in (".xml", ".onnx")]
        assert kept.name.startswith(f"{name}_logits_3x1x16x16_abc")
        again = backend(nn.Identity(), name, folder=tmp_path)  # from the file alone
        torch.testing.assert_close(again(tiles), reference, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_engines_give_features_where_these_are_blended(name, tmp_path):
    net = build_spec("unet", 2, 1, 9, channels=(4, 8)).build().eval().requires_grad_(False)
    features, evidence = evidence_of(net, task_for(Labels.of({value: f"s{value}" for value in range(1, 9)})))
    tiles = torch.randn(2, 1, *PATCH)
    said = backend(features, name, evidence, tmp_path)(tiles)
    assert said.shape == (2, 4, *PATCH) and list(tmp_path.glob(f"{name}_features_*"))
    torch.testing.assert_close(evidence.maps(said), net(tiles)[0].softmax(1), rtol=0, atol=1e-4)


def learned(steps: int = 120) -> nn.Module:
    """The net, taught to tell three ranges of intensities in smooth images."""
    net = build_spec("unet", 2, 1, 3, channels=(8, 16, 16)).build()
    optimiser = torch.optim.AdamW(net.parameters(), 1e-2)
    for _ in range(steps):
        images = smooth(8)
        target = 1 + (images[:, 0] > 0.3).long() - (images[:, 0] < -0.3).long()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(images)[0], target).backward()
        optimiser.step()
    return net.eval().requires_grad_(False)


def smooth(count: int) -> torch.Tensor:
    coarse = torch.randn(count, 1, 4, 4)
    return torch.nn.functional.interpolate(coarse, PATCH, mode="bicubic")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("needed", [0.98, 1.0])  # in tiles of 16 pixels nearly all are at a border
def test_eight_bits_answer_when_they_agree_with_torch_and_only_then(needed, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(choices, "SAME", needed)
    torch.manual_seed(2)
    net, tiles, asked = learned(), smooth(4), []

    def patches(part, shape):
        asked.append(part)
        return smooth(16)

    one = backend(net, "openvino_int8", folder=tmp_path, patches=patches)
    with caplog.at_level(logging.INFO):
        answer = one(tiles)
    taken = needed < 1
    assert (one.choices[1, *PATCH].program is not None) == taken
    assert f"on 16 validation patches: {'openvino_int8' if taken else 'torch'} answers." in caplog.text
    if taken:
        assert decided_alike(answer.softmax(1), net(tiles)[0].softmax(1)) > 0.97
    else:
        torch.testing.assert_close(answer, net(tiles)[0])
    again = backend(nn.Identity() if taken else net, "openvino_int8", folder=tmp_path, patches=patches)
    torch.testing.assert_close(again(tiles), answer)  # from the file, or refused, without being judged again
    assert asked == ["validation", "training"]


def test_eight_bits_need_a_run(net):
    with pytest.raises(ConfigError, match="prepared cases of a run"):
        backend(net, "openvino_int8")(torch.zeros(1, 1, *PATCH))


@pytest.mark.slow
def test_a_predictor_with_an_engine_answers_as_with_torch(net):
    case = make_case((40, 37))
    plain = make_predictor(PATCH, net).predict(case)
    other = make_predictor(PATCH, net, backend="openvino").predict(case)
    assert np.mean(plain.array == other.array) > 0.999 and other.grid == plain.grid


@pytest.mark.slow
def test_stopping_is_heard_after_engines_have_gone_in_any_order(net):
    tiles = torch.randn(1, 1, *PATCH)
    first, second = backend(net, "openvino"), backend(net, "openvino")
    first(tiles), second(tiles)
    del first
    del second
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


class Doubled:
    """An engine whose answers or speed are as wanted."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, net, example, half, kept):
        return lambda tiles: self.factor * net(tiles)[0]


@pytest.mark.parametrize(("factor", "taken"), [(1.0, True), (-1.0, False)])
def test_auto_waits_until_an_engine_pays_and_refuses_one_that_disagrees(net, factor, taken, monkeypatch, caplog):
    monkeypatch.setattr(choices, "fastest_installed", lambda: "made_up")
    monkeypatch.setattr(programs.engines, "build", lambda name, **given: Doubled(factor)(**given))
    monkeypatch.setattr(choices, "PATIENCE_SECONDS", 10.0)
    one, tiles = backend(net, "auto"), torch.randn(2, 1, *PATCH)
    one(tiles)
    choice = one.choices[1, 16, 16]
    assert choice.program is None and not choice.settled
    choice.spent, choice.calls = 100.0, 1
    with caplog.at_level(logging.INFO):
        one(tiles)
    assert choice.settled and (choice.program is not None) == taken
    assert f"{'made_up' if taken else 'torch'} answers" in caplog.text
    torch.testing.assert_close(one(tiles), net(tiles)[0])


class Distances(Classes):
    """Maps that are no probabilities."""

    probable = False

    def activate(self, logits):
        return logits.float()


@pytest.mark.parametrize(("factor", "taken"), [(1.01, True), (1.05, False)])
def test_maps_that_are_no_probabilities_are_judged_by_their_relative_difference(
    net, factor, taken, monkeypatch, caplog
):
    monkeypatch.setattr(choices, "fastest_installed", lambda: "made_up")
    monkeypatch.setattr(programs.engines, "build", lambda name, **given: Doubled(factor)(**given))
    evidence = Evidence(3, None, Distances(Labels.of({1: "a", 2: "b"})))
    one, tiles = backend(net, "auto", evidence, patches=lambda part, shape: torch.randn(3, 1, *shape)), smooth(2)
    one.choices[1, *PATCH] = Choice(spent=100.0, calls=1)
    with caplog.at_level(logging.INFO):
        torch.testing.assert_close(one(tiles), net(tiles)[0])
    assert (one.choices[1, *PATCH].program is not None) == taken
    assert f"likeness of maps at least {2 - factor:.2f}" in caplog.text.replace("00", "0") or not taken


@pytest.mark.parametrize(("apart", "taken"), [(False, True), (True, False)])
def test_auto_judges_on_validation_patches_where_there_are_some(net, apart, taken, monkeypatch, caplog, tmp_path):
    """An engine that answers the tile at hand as torch does, and bright tiles only when they are not apart."""

    def build(net, example, half, kept):
        kept.with_suffix(".onnx").touch()
        return lambda tiles: net(tiles)[0] * (1 - 2 * (apart and tiles.mean() > 5))

    asked = []

    def patches(part, shape):
        asked.append((part, shape))
        return 10 + torch.randn(5, 1, *shape)

    monkeypatch.setattr(choices, "fastest_installed", lambda: "made_up")
    monkeypatch.setattr(programs.engines, "build", lambda name, **given: build(**given))
    tiles = torch.randn(2, 1, *PATCH)
    for _ in range(2):  # the second time it is read
        one = backend(net, "auto", folder=tmp_path, patches=patches)
        one.choices[1, *PATCH] = choice = Choice(spent=100.0, calls=100)
        with caplog.at_level(logging.INFO):
            torch.testing.assert_close(one(tiles), net(tiles)[0])
        assert choice.settled and (choice.program is not None) == taken
        assert "on 5 validation patches: " + ("made_up" if taken else "torch") + " answers." in caplog.text
        caplog.clear()
    assert asked == [("validation", PATCH)]


def test_auto_does_without_validation_patches_that_are_gone(net, monkeypatch, caplog):
    def patches(part, shape):
        raise DataError("no prepared case")

    monkeypatch.setattr(choices, "fastest_installed", lambda: "made_up")
    monkeypatch.setattr(programs.engines, "build", lambda name, **given: Doubled(1.0)(**given))
    one = backend(net, "auto", patches=patches)
    one.choices[1, *PATCH] = Choice(spent=100.0, calls=1)
    with caplog.at_level(logging.INFO):
        one(torch.randn(2, 1, *PATCH))
    assert "made_up answers" in caplog.text and "validation" not in caplog.text


def test_auto_asks_torch_once_for_each_tile_also_where_nothing_is_found(monkeypatch):
    asked = []

    def nothing(images: torch.Tensor) -> tuple[torch.Tensor]:
        asked.append(len(images))
        return (torch.cat([images + 9, images - 9, images - 9], 1),)

    monkeypatch.setattr(choices, "fastest_installed", lambda: "made_up")
    one = backend(nothing, "auto")
    one.choices[1, *PATCH] = choice = Choice(spent=100.0, calls=1)
    for _ in range(5):
        one(torch.zeros(1, 1, *PATCH))
    assert asked == [1] * 5 and not choice.settled and choice.calls == 6


def test_auto_judges_by_tiles_with_a_structure_and_by_its_dice(monkeypatch):
    """An engine that misses a small structure agrees in nearly all voxels, and in all where there is none."""

    def spot(images: torch.Tensor) -> tuple[torch.Tensor]:
        return (torch.cat([9 - 18 * images, 18 * images - 9], 1),)

    def build(net, example, half, kept):
        return lambda tiles: spot(0 * tiles)[0]

    monkeypatch.setattr(choices, "fastest_installed", lambda: "made_up")
    monkeypatch.setattr(programs.engines, "build", lambda name, **given: build(**given))
    one, tiles = backend(spot, "auto"), torch.zeros(1, 1, 64, 64)
    one(tiles)
    choice = one.choices[1, 64, 64]
    choice.spent, choice.calls = 100.0, 1
    one(tiles)
    assert not choice.settled
    tiles[..., 30:32, 30] = 1.0
    assert one(tiles).argmax(1).sum() == 2
    assert choice.settled and choice.program is None


def test_a_net_that_no_engine_takes_is_answered_by_torch(net, monkeypatch, caplog):
    def build(net, example, half, kept):
        raise RuntimeError("no such operation\nmore")

    monkeypatch.setattr(programs.engines, "build", lambda name, **given: build(**given))
    one, tiles = backend(net, "openvino"), torch.randn(1, 1, *PATCH)
    torch.testing.assert_close(one(tiles), net(tiles)[0])
    one(tiles)
    assert caplog.text.count("openvino cannot compute this net (RuntimeError: no such operation); torch answers") == 1


@pytest.fixture
def loads_or_makes(monkeypatch):
    """An engine that is kept as text; what it did, in order."""
    did: list[str] = []

    def build(net, example, half, kept, calibration=None):
        file = kept.with_suffix(".xml")
        if file.is_file():
            did.append("load")
            if file.read_text() != "good":
                raise RuntimeError("not a program\nmore")
        else:
            did.append("make")
            if calibration is not None:
                calibration()
            file.write_text("good")
        return lambda tiles: net(tiles)[0]

    monkeypatch.setattr(programs.engines, "build", lambda name, **given: build(**given))
    return did


def test_a_damaged_engine_is_deleted_and_made_again(net, tmp_path, caplog, loads_or_makes):
    tiles = torch.randn(1, 1, *PATCH)
    kept = tmp_path / "openvino_logits_1x1x16x16_abc"
    for file in (kept.with_suffix(".xml"), kept.with_suffix(".bin")):
        file.write_text("junk")
    for _ in range(2):
        one = backend(net, "openvino", folder=tmp_path)
        torch.testing.assert_close(one(tiles), net(tiles)[0])
        assert one.answered == "openvino answered."
    assert loads_or_makes == ["load", "make", "load"]
    assert not kept.with_suffix(".bin").exists()
    assert [record.getMessage() for record in caplog.records] == [
        f"{kept}.*: this engine cannot be loaded (RuntimeError: not a program); it is made again."
    ]


def test_an_engine_that_changed_on_disk_is_made_again(net, tmp_path, caplog, loads_or_makes):
    tiles = torch.randn(1, 1, *PATCH)
    kept = tmp_path / "openvino_logits_1x1x16x16_abc"
    backend(net, "openvino", folder=tmp_path)(tiles)
    kept.with_suffix(".bin").write_text("other weights")
    for _ in range(2):
        backend(net, "openvino", folder=tmp_path)(tiles)
    assert loads_or_makes == ["make", "make", "load"]
    assert "its files have changed since they were written); it is made again." in caplog.text


def test_a_damaged_engine_of_eight_bits_is_calibrated_and_judged_again(net, tmp_path, loads_or_makes):
    (tmp_path / "openvino_int8_logits_1x1x16x16_abc.xml").write_text("junk")
    asked = []

    def patches(part, shape):
        asked.append(part)
        return torch.randn(2, 1, *shape)

    one = backend(net, "openvino_int8", folder=tmp_path, patches=patches)
    one(torch.randn(1, 1, *PATCH))
    assert loads_or_makes == ["load", "make"] and asked == ["validation", "training"]


def test_a_note_about_an_engine_that_is_gone_does_not_count(net, tmp_path, loads_or_makes):
    asked = []

    def patches(part, shape):
        asked.append(part)
        return torch.randn(2, 1, *shape)

    for _ in range(2):
        backend(net, "openvino_int8", folder=tmp_path, patches=patches)(torch.randn(1, 1, *PATCH))
        (tmp_path / "openvino_int8_logits_1x1x16x16_abc.xml").unlink()
    assert asked == ["validation", "training"] * 2


@pytest.mark.parametrize("fault", [ConfigError("no validation cases"), KeyboardInterrupt()])
def test_an_engine_of_eight_bits_that_was_not_judged_never_answers(net, tmp_path, fault, loads_or_makes, monkeypatch):
    def patches(part, shape):
        if part == "validation" and isinstance(fault, ConfigError):
            raise fault
        return torch.randn(2, 1, *shape)

    one = backend(net, "openvino_int8", folder=tmp_path, patches=patches)
    with monkeypatch.context() as patched:
        if isinstance(fault, KeyboardInterrupt):
            patched.setattr(choices, "shares", lambda *_: (_ for _ in ()).throw(fault))
        for _ in range(2):
            with pytest.raises(type(fault)):
                one(torch.randn(1, 1, *PATCH))
            assert not one.choices[1, *PATCH].settled and not list(tmp_path.glob("*.[fh]*.json"))
    if isinstance(fault, KeyboardInterrupt):
        one(torch.randn(1, 1, *PATCH))
        assert len(list(tmp_path.glob("*.full.json"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "suffix"), [("onnx", "onnx"), ("openvino", "xml")])
def test_junk_in_the_place_of_an_engine_is_made_again(net, name, suffix, tmp_path, caplog):
    tiles = torch.randn(1, 1, *PATCH)
    (tmp_path / f"{name}_logits_1x1x16x16_abc.{suffix}").write_bytes(b"junk")
    one = backend(net, name, folder=tmp_path)
    torch.testing.assert_close(one(tiles), net(tiles)[0], rtol=0, atol=1e-4)
    assert one.answered == f"{name} answered." and "it is made again" in caplog.text
    assert (tmp_path / f"{name}_logits_1x1x16x16_abc.{suffix}").read_bytes() != b"junk"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_an_engine_that_cannot_be_kept_answers_all_the_same(net, name, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    tiles = torch.randn(1, 1, *PATCH)
    one = backend(net, name, folder=tmp_path / "file" / "engines")
    torch.testing.assert_close(one(tiles), net(tiles)[0], rtol=0, atol=1e-4)
    assert one.answered == f"{name} answered." and caplog.text.count("this engine could not be kept") == 1


def test_an_engine_that_is_not_installed_is_told_with_the_command(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match=r"openvino needs openvino; install it with `pip install 'openvino>="):
        backend(net, "openvino")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    one = backend(net, "auto")
    one(torch.randn(1, 1, *PATCH))
    assert one.answered.startswith("torch answered: no other engine is installed; `pip install 'openvino>=")


def test_who_answered_is_told(net):
    one = backend(net, "auto")
    assert one.answered.startswith("torch answered")
    one.choices = {(1, 8, 8): Choice(program=lambda tiles: tiles), (1, 9, 8): Choice()}
    assert "answered tiles of 1 of 2 shapes, torch the others." in one.answered
    one.choices.popitem()
    assert one.answered.endswith(" answered.") and "torch" not in one.answered
    assert one.torch.answered == "torch answered."
    other = backend(net, "onnx")
    other.choices = {(1, 8, 8): Choice()}
    assert other.answered == "torch answered: onnx could not, or not as well."
    other.choices = {(1, 8, 8): Choice(program=lambda tiles: tiles)}
    assert other.answered == "onnx answered."
