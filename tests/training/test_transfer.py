"""Starting from other weights, freezing by pattern, and learning rates by part."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from hyoid.core.errors import ConfigError, DataError
from hyoid.nets import build_spec
from hyoid.training.checkpoint import read_checkpoint
from hyoid.training.optim import build_optimiser
from hyoid.training.regimes.supervised import Supervised
from hyoid.training.settings import OptimiserSettings, TrainingSettings
from hyoid.training.transfer import Outputs, freeze, start_from


def net(in_channels: int = 1, out_channels: int = 2, dims: int = 2, seed: int = 0, **changes):
    torch.manual_seed(seed)
    return build_spec("unet", dims, in_channels, out_channels, channels=(4, 8), **changes).build()


def saved(source, path):
    save_file(source.state_dict(), path)
    return path


def test_the_same_net_takes_everything(tmp_path):
    source, ours = net(seed=1), net()
    taken = start_from(ours, saved(source, tmp_path / "w.safetensors"), 1)
    assert taken.adapted == taken.new == () and len(taken.same) == len(source.state_dict())
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in ours.state_dict().items())
    assert taken.describe("w").endswith("tensors start with those of w; nothing is new.")


def test_other_classes_keep_a_new_head_and_other_channels_adapt_the_entrance(tmp_path):
    source, ours = net(seed=1), net(in_channels=3, out_channels=5)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    taken = start_from(ours, saved(source, tmp_path / "w.safetensors"), 3)
    assert set(taken.new) == {"heads.0.weight", "heads.0.bias"}
    assert all(torch.equal(ours.state_dict()[name], before[name]) for name in taken.new)
    (entrance,) = taken.adapted
    whole = source.state_dict()[entrance]
    assert torch.allclose(ours.state_dict()[entrance].sum(1), whole.sum(1), atol=1e-6)
    assert f"{entrance} adapted" in taken.describe("w") and "new: heads.0.weight, heads.0.bias." in taken.describe("w")


@pytest.mark.parametrize("name", ["unet", "unet_plus_plus", "vnet"])
@pytest.mark.parametrize("dims", [2, 3])
def test_heads_keep_the_rows_of_outputs_by_name(tmp_path, name, dims):
    theirs, ours = ("background", "liver", "spleen"), ("background", "spleen", "kidney", "liver")
    specs = [build_spec(name, kind, 1, len(some)) for kind, some in ((2, theirs), (dims, ours))]
    torch.manual_seed(0)
    source, target = (spec.build() for spec in specs)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    outputs = Outputs.of(specs[1], theirs, ours)
    taken = start_from(target, saved(source, tmp_path / "w.safetensors"), 1, outputs)
    assert outputs.axes and (taken.outputs, taken.drawn) == (("background", "spleen", "liver"), ("kidney",))
    told = taken.describe("w")
    assert "start with the rows of the same names: background, spleen, liver; new: the rows of kidney." in told
    assert not set(taken.heads) & {*taken.adapted} and "nothing" not in told
    assert replace(taken, drawn=()).describe("w").endswith("background, spleen, liver; nothing is new.")
    for key in (one for one in outputs.axes if one.endswith("bias")):
        after, old = target.state_dict()[key], source.state_dict()[key]
        assert torch.equal(after[[0, 1, 3]], old[[0, 2, 1]]) and after[2] == before[key][2]


def test_rows_whose_names_are_not_known_are_taken_in_their_order_and_this_is_said(tmp_path):
    source, spec = net(seed=1), build_spec("unet", 2, 1, 2, channels=(4, 8))
    taken = start_from(net(), saved(source, tmp_path / "w.safetensors"), 1, Outputs.of(spec, (), ("a", "b")))
    assert "rows of the head are taken in their order; their names are not known" in taken.describe("w")
    other = build_spec("unet", 2, 1, 3, channels=(4, 8))
    taken = start_from(other.build(), tmp_path / "w.safetensors", 1, Outputs.of(other, (), ("a", "b", "c")))
    assert not taken.unnamed and "new: heads.0.weight, heads.0.bias." in taken.describe("w")


def test_a_2d_net_inflates_into_a_3d_one(tmp_path):
    source, ours = net(seed=1), net(dims=3)
    taken = start_from(ours, saved(source, tmp_path / "w.safetensors"), 1)
    (first,) = [name for name in taken.adapted if name.startswith("encoder.stages.0") and "0.conv.weight" in name]
    assert torch.allclose(ours.state_dict()[first].sum(2), source.state_dict()[first], atol=1e-6)


def test_weights_of_another_net_are_refused(tmp_path):
    save_file({"something.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="none of its 1 tensors fits this net"):
        start_from(net(), tmp_path / "w.safetensors", 1)


def test_averaged_weights_of_a_checkpoint_are_taken(tiny, tmp_path):
    tiny.fit(tmp_path / "run", steps=2)
    ours = tiny.net()
    start_from(ours, tmp_path / "run" / "last.safetensors", 1)
    kept, _ = read_checkpoint(tmp_path / "run" / "last.safetensors")
    assert all(torch.equal(value, kept[f"average/{name}"]) for name, value in ours.state_dict().items())


def test_frozen_weights_and_statistics_do_not_move_and_the_others_do(tiny, tmp_path):
    plan = tiny.plan.changed({"net.norm": "batch"})
    tiny.plan = plan
    before = tiny.net().state_dict()
    tiny.fit(tmp_path / "run", {"freeze": ["encoder.*"]}, steps=3)
    kept, _ = read_checkpoint(tmp_path / "run" / "last.safetensors")
    names = [name for name in before if before[name].is_floating_point()]
    still = {name for name in names if torch.equal(kept[f"net/{name}"], before[name])}
    assert any(name.endswith("running_mean") for name in still)
    assert still == {name for name in names if name.startswith("encoder.")}


def test_a_training_with_frozen_parts_and_rates_resumes_bit_for_bit(tiny, tmp_path, monkeypatch):
    changes = {"freeze": ["encoder.stages.0.*"], "learning_rates": {"encoder.*": 0.1, "*.bias": 2.0}}
    tiny.fit(tmp_path / "whole", changes, steps=4)
    steps, losses = [], Supervised.losses

    def stop_at_two(self, turn, batches, progress):
        steps.append(batches["labelled"].case_ids)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGINT)
        return losses(self, turn, batches, progress)

    monkeypatch.setattr(Supervised, "losses", stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        tiny.fit(tmp_path / "parts", changes, steps=4)
    tiny.fit(tmp_path / "parts", changes, steps=4, resume=True)
    whole, parts = (read_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_patterns_that_match_nothing_are_refused_with_the_parts_there_are():
    with pytest.raises(ConfigError, match=r"no weight of the net is called 'encodr\.\*'.* encoder\.\*, decoder\.\*"):
        freeze(net(), ["encodr.*"])
    with pytest.raises(ConfigError, match="nothing is left to learn"):
        freeze(net(), ["*"])
    with pytest.raises(ConfigError, match=r"training\.freeze keeps weights"):
        TrainingSettings(learning_rates={"encoder.*": 0.0})


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_first_pattern_gives_the_factor_of_the_learning_rate(name):
    ours = net()
    settings = OptimiserSettings(name=name, learning_rate=0.5)
    optimiser = build_optimiser(ours, settings, {"encoder.*": 0.1, "*.bias": 2.0})
    names = {id(parameter): key for key, parameter in ours.named_parameters()}
    found = {names[id(p)]: group["peak"] for group in optimiser.param_groups for p in group["params"]}
    assert found.keys() == set(names.values())
    for key, rate in found.items():
        assert rate == 0.5 * (0.1 if key.startswith("encoder.") else 2.0 if key.endswith(".bias") else 1.0)
    decays = {names[id(p)]: group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    plain = build_optimiser(ours, settings)
    assert decays == {names[id(p)]: group["weight_decay"] for group in plain.param_groups for p in group["params"]}
