"""Two nets with the same weights answer the same image: how tensors are matched, and by how much answers differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

ROUNDING, NUDGE, MARGIN, MOST = 1e-9, 1e-15, 100, 1e-3
"""Differences relative to the largest logit that count as rounding: up to the first, or a hundred times what their
answer changes when the image does by 1e-15, for random weights amplify in deep nets; never more than the last."""

Source = str | tuple[str | tuple[str, ...], Callable[..., Tensor]]
"""A name in their net, or names there and what makes our tensor of theirs."""


def first(answer: Any) -> Tensor:
    """The only answer, or the first of several."""
    return answer if isinstance(answer, Tensor) else first(answer[0])


@dataclass(frozen=True)
class Comparison:
    """One of our nets beside one of theirs.

    Attributes:
        row: Our net, as on the shelf.
        what: What was compared: their class, and the options that bring both together.
        theirs: Builds their net.
        ours: Builds ours.
        shape: Shape of the image, (B, C, *S).
        pairs: For our tensors or modules, by name, where theirs are; all others are matched in order of use.
        answer: Our logits in what their net gives.
        answers: Calls their net, where its image is another than ours.
        differs: Why the answers are not equal; empty where they are.
    """

    row: str
    what: str
    theirs: Callable[[], nn.Module]
    ours: Callable[[], nn.Module]
    shape: tuple[int, ...]
    pairs: Mapping[str, Source] = field(default_factory=dict)
    answer: Callable[[Any], Tensor] = first
    answers: Callable[[nn.Module, Tensor], Any] = lambda net, x: net(x)
    differs: str = ""


class Outcome(NamedTuple):
    """Parameters of both, tensors without a counterpart, the largest difference relative to the largest logit."""

    theirs: int
    ours: int
    unmatched: tuple[str, ...]
    difference: float
    equal: bool


def compare(one: Comparison) -> Outcome:
    """Give random weights to their net and the same to ours, and ask both.

    Raises:
        ValueError: When the answers have different shapes, or one says nothing because it hardly varies.
    """
    torch.manual_seed(0)
    with torch.no_grad(), double_precision():
        theirs, ours = one.theirs().double().eval(), one.ours().double().eval()
        x = torch.randn(one.shape)
        randomise(theirs)
        source = in_order(theirs, lambda: one.answers(theirs, x))
        target = in_order(ours, lambda: ours(x))
        unmatched = give(source, target, one.pairs)
        expected, got = one.answer(one.answers(theirs, x)), first(ours(x))
        if unmatched and not any(name.startswith("ours") for name in unmatched):
            unmatched = _used(unmatched, source, lambda: one.answer(one.answers(theirs, x)), expected)
    if expected.shape != got.shape:
        raise ValueError(f"their answer has shape {tuple(expected.shape)}, ours {tuple(got.shape)}")
    if not expected.std() > 1e-3 * expected.abs().max():
        raise ValueError("their answer hardly varies, so that equality would prove nothing")
    with torch.no_grad(), double_precision():
        nudged = one.answer(one.answers(theirs, x * (1 + NUDGE * torch.randn(x.shape))))
    difference, amplified = (float((y - expected).abs().max() / expected.abs().max()) for y in (got, nudged))
    rounding = min(MOST, max(ROUNDING, MARGIN * amplified))
    numbers = (sum(p.numel() for p in net.parameters()) for net in (theirs, ours))
    return Outcome(*numbers, unmatched, difference, not unmatched and difference < rounding)


def _used(
    names: tuple[str, ...], source: Mapping[str, Tensor], ask: Callable[[], Tensor], expected: Tensor
) -> tuple[str, ...]:
    """These tensors of theirs; none where the answer does not depend on them."""
    for name in names:
        source[name.removeprefix("theirs ")].data += 1
    return () if torch.equal(ask(), expected) else names


@contextmanager
def double_precision() -> Iterator[None]:
    """New tensors have 64 bits."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def randomise(net: nn.Module) -> None:
    """Draw all weights and statistics of norms so that maps keep their size and nothing is hidden by zeros or ones."""
    for name, tensor in _weights(net).items():
        if "var" in name or (name.endswith("weight") and tensor.squeeze().ndim < 2):
            tensor.data = 0.5 + torch.rand_like(tensor)
        else:
            spread = (2 / tensor[0].numel()) ** 0.5 if tensor.squeeze().ndim > 1 else 0.1
            tensor.data = spread * torch.randn_like(tensor)


def in_order(net: nn.Module, ask: Callable[[], Any]) -> dict[str, Tensor]:
    """Weights and statistics by name, in order of use; those of modules that are never called follow at the end."""
    called: dict[str, None] = {}
    handles = [
        module.register_forward_pre_hook(lambda *_, prefix=prefix: called.setdefault(prefix))
        for prefix, module in net.named_modules()
    ]
    ask()
    for handle in handles:
        handle.remove()
    grouped: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in _weights(net).items():
        grouped[name.rpartition(".")[0]][name] = tensor
    order = [*called, *(prefix for prefix in grouped if prefix not in called)]
    return {name: tensor for prefix in order for name, tensor in grouped[prefix].items()}


def _weights(net: nn.Module) -> dict[str, Tensor]:
    statistics = {name: b for name, b in net.named_buffers() if name.endswith(("running_mean", "running_var"))}
    return {**dict(net.named_parameters()), **statistics}


def give(source: Mapping[str, Tensor], target: Mapping[str, Tensor], pairs: Mapping[str, Source]) -> tuple[str, ...]:
    """Put their tensors into ours: named pairs first, then in order of use those of a kind, closely, then by shape.

    Returns:
        The names of tensors that have no counterpart.
    """
    rest, left = dict(target), dict(source)
    for name, made in _named(target, source, pairs).items():
        names, make = made if isinstance(made, tuple) else (made, lambda tensor: tensor)
        names = (names,) if isinstance(names, str) else names
        value = make(*(source[key] for key in names))
        rest.pop(name).data = value.reshape(target[name].shape).clone()
        for key in names:
            left.pop(key, None)
    there, here = _kinds(source), _kinds(target)
    for words in (4, 3, 1):
        waiting: dict[Any, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side, names, kinds in ((0, left, there), (1, rest, here)):
            for name in names:
                waiting[kinds[name][:words]][side].append(name)
        for theirs, ours in waiting.values():
            if words == 1 or len(theirs) == len(ours):  # as many of a kind: the kind means the same in both
                for give_from, name in zip(theirs, ours, strict=False):
                    rest.pop(name).data = left.pop(give_from).reshape(target[name].shape).clone()
    return (*(f"ours {name}" for name in rest), *(f"theirs {name}" for name in left))


def _kinds(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Any, ...]]:
    """What each tensor is, most important first: its shape, the last word of its name, its neighbours.

    Neighbours are the weight of the same layer, for a convolution's bias is not a norm's, and the last kernel before.
    """
    kinds: dict[str, tuple[Any, ...]] = {}
    kernel: tuple[int, ...] = ()
    for name, tensor in tensors.items():
        prefix, _, last = name.rpartition(".")
        beside = tensors.get(f"{prefix}.weight")
        kernel = _shape(tensor) if len(_shape(tensor)) > 1 else kernel
        kinds[name] = (_shape(tensor), last, None if beside is None else _shape(beside), kernel)
    return kinds


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(size for size in tensor.shape if size != 1)


def _named(
    target: Mapping[str, Tensor], source: Mapping[str, Tensor], pairs: Mapping[str, Source]
) -> dict[str, Source]:
    """The pairs, those of modules written out for each tensor of theirs."""
    named: dict[str, Source] = {}
    for ours, theirs in pairs.items():
        inside = {name: f"{theirs}{name.removeprefix(ours)}" for name in target if name.startswith(f"{ours}.")}
        found = {ours: theirs} if ours in target else {name: there for name, there in inside.items() if there in source}
        if not found:
            raise ValueError(f"no tensor of the pair {ours} and {theirs}")
        named |= found
    return named
