"""Checkpoints: what was written is read back, and what is not a checkpoint is refused."""

import pytest
import torch
from safetensors.torch import save_file

from hyoid.core.errors import DataError
from hyoid.training.checkpoint import (
    below,
    load_weights,
    optimiser_tensors,
    part,
    read_checkpoint,
    restore_optimiser,
    write_checkpoint,
)
from hyoid.training.transfer import start_from
from phantoms import OneConvolution


def test_tensors_and_facts_come_back(tmp_path):
    tensors = {"net/a": torch.randn(3, 4).t(), "step": torch.tensor(7.0)}
    write_checkpoint(tmp_path / "x.safetensors", tensors, {"step": 7, "dice": {"liver": 0.1 + 0.2}})
    found, facts = read_checkpoint(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert facts == {"step": 7, "dice": {"liver": 0.1 + 0.2}}
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_parts_are_named_by_a_prefix():
    tensors = {"a": torch.ones(1), "b": torch.zeros(1)}
    assert part({**below("net", tensors), **below("netted", tensors)}, "net") == tensors


def test_averaged_weights_are_loaded_unless_told_otherwise(tmp_path):
    net, average, other = (OneConvolution(2, 2) for _ in range(3))
    tensors = below("net", net.state_dict()) | below("average", average.state_dict())
    write_checkpoint(tmp_path / "x.safetensors", tensors, {"step": 3})
    assert load_weights(other, tmp_path / "x.safetensors") == {"step": 3}
    assert torch.equal(other.conv.weight, average.conv.weight)
    load_weights(other, tmp_path / "x.safetensors", averaged=False)
    assert torch.equal(other.conv.weight, net.conv.weight)


def test_weights_of_another_net_are_refused(tmp_path):
    write_checkpoint(tmp_path / "x.safetensors", below("net", OneConvolution(2, 2).state_dict()), {})
    with pytest.raises(DataError, match="belong to another net"):
        load_weights(OneConvolution(3, 2), tmp_path / "x.safetensors")


def test_no_checkpoint_is_said(tmp_path):
    with pytest.raises(DataError, match="there is no checkpoint here"):
        read_checkpoint(tmp_path / "x.safetensors")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"not a checkpoint at all")
    with pytest.raises(DataError, match=r"not a readable checkpoint \(.*\); copy or download it again\.$"):
        read_checkpoint(tmp_path / "x.safetensors")


def test_a_checkpoint_of_a_run_that_is_cut_short_can_be_made_anew(tmp_path):
    path = tmp_path / "run" / "weights" / "last.safetensors"
    write_checkpoint(path, {"a": torch.ones(100)}, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"put back .* begin anew with `hyoid train \S*run --no-resume`\.$"):
        read_checkpoint(path)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_an_optimiser_goes_on_where_it_was(kind):
    def run(steps, state=None):
        torch.manual_seed(0)
        net = torch.nn.Linear(3, 2)
        optimiser = kind(net.parameters(), lr=0.1, **({"momentum": 0.9} if kind is torch.optim.SGD else {}))
        if state:
            net.load_state_dict(state[0])
            restore_optimiser(optimiser, state[1])
        for _ in range(steps):
            optimiser.zero_grad()
            net(torch.ones(1, 3)).square().sum().backward()
            optimiser.step()
        return net.state_dict(), optimiser_tensors(optimiser)

    whole, parts = run(5), run(3, run(2))
    assert all(torch.equal(whole[0][name], parts[0][name]) for name in whole[0])
    assert all(torch.equal(whole[1][name], parts[1][name]) for name in whole[1])


def changed(path, what):
    """Change one byte of a file: in the numbers, or in the facts of its header."""
    content = bytearray(path.read_bytes())
    place = len(content) - 3 if what == "numbers" else content.index(b"0.25")
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("what", ["numbers", "facts"])
def test_a_changed_byte_is_noticed(tmp_path, what):
    write_checkpoint(tmp_path / "x.safetensors", {"a": torch.ones(3, dtype=torch.bfloat16)}, {"dice": 0.25})
    read_checkpoint(tmp_path / "x.safetensors")
    changed(tmp_path / "x.safetensors", what)
    with pytest.raises(DataError, match=r"x\.safetensors: this file has changed since it was written; copy or"):
        read_checkpoint(tmp_path / "x.safetensors")


def test_a_file_without_a_checksum_is_read(tmp_path):
    save_file({"a": torch.ones(3)}, tmp_path / "x.safetensors")
    assert read_checkpoint(tmp_path / "x.safetensors")[1] == {}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_answer_and_begin_nothing(tmp_path, value):
    net = OneConvolution(2, 2)
    torch.nn.init.constant_(net.conv.bias, value)
    write_checkpoint(tmp_path / "x.safetensors", below("average", net.state_dict()), {})
    for use in (
        lambda: load_weights(net, tmp_path / "x.safetensors"),
        lambda: start_from(net, tmp_path / "x.safetensors", 2),
    ):
        with pytest.raises(DataError, match=r"x\.safetensors: the weights conv\.bias are not finite numbers; copy or"):
            use()
