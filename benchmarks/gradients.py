"""Gradients in bfloat16 beside those in float32: of single convolutions by shape, and of every net of the shelf.

    OMP_NUM_THREADS=1 python benchmarks/gradients.py shapes [--off]
    OMP_NUM_THREADS=1 python benchmarks/gradients.py nets --into FOLDER [--nets NAME...] [--dims 2 3] [--off]

`shapes` prints, for kinds of convolutions and sizes of maps, the cosine between the two gradients of the weights.
`nets` lets each net, with its published widths, take five steps of AdamW in each number format, and compares for one
batch the gradient of each parameter, and every single operation of the forward and backward pass in bfloat16 with the
same one in float32. What an operation adds is its own fault; what parameters differ by beyond is rounding that adds up
from layer to layer. `--off` leaves out what `nets/half.py` does. Each net has a process of its own, since wrong code
may end it; results.json in FOLDER grows net by net, and what stands there is not done again.
"""

import argparse
import json
import math
import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from plainly import run_plainly
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

PATCH, BATCH, STEPS, CHANNELS, CLASSES = {2: (48, 48), 3: (8, 32, 32)}, 2, 5, 1, 3
ALIKE, RELEVANT = 0.99, 1e-3
"""Least cosine, and least share of the largest norm of a gradient that is looked at."""

HEAVY = 100e6
"""Parameters from which steps are those of plain descent, whose memory is a third."""

SECONDS, MEMORY = 300, 9 * 2**30
"""Processor time and memory that one net may take."""

SKIPPED = ("_to_copy", "empty", "rand", "dropout", "bernoulli", "new_", "zeros", "ones", "full", "copy", "detach")
HALF = torch.bfloat16


def cosine(one: Tensor, other: Tensor) -> float:
    """Between two tensors as vectors; 1 where both are nothing, 0 where one is not finite."""
    one, other = one.double().flatten(), other.double().flatten()
    if not (one.isfinite().all() and other.isfinite().all()):
        return 0.0
    if not one.norm() and not other.norm():
        return 1.0
    return float(one @ other / (one.norm() * other.norm()).clamp(min=1e-300))


class EachInFull(TorchDispatchMode):
    """Computes each operation on bfloat16 in float32, and goes on with that answer, rounded.

    Attributes:
        least: The least cosine between what an operation gives and that answer, for each kind.
    """

    def __init__(self) -> None:
        super().__init__()
        self.least: dict[str, float] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name, given = func.overloadpacket.__name__, tree_flatten((args, kwargs))[0]
        plain = not func._schema.is_mutable and not func.is_view and not any(word in name for word in SKIPPED)
        if not plain or not any(isinstance(x, Tensor) and x.dtype == HALF for x in given):
            return out
        wide = tree_map(lambda x: x.float() if isinstance(x, Tensor) and x.dtype == HALF else x, (args, kwargs or {}))
        exact = func(*wide[0], **wide[1])
        return tree_map(lambda one, other: self._rounded(name, one, other), out, exact)

    def _rounded(self, name: str, one: Any, exact: Any) -> Any:
        if not isinstance(one, Tensor) or not one.is_floating_point():
            return one
        if one.numel() > 8:
            self.least[name] = min(self.least.get(name, 1.0), cosine(one, exact))
        return one.copy_(exact)


def batch(net: nn.Module, dims: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images with a ball of two shells, and their labels."""
    draw = torch.Generator().manual_seed(seed)
    shape = net.fitting_shape([n + 2 * m for n, m in zip(PATCH[dims], net.margin, strict=True)])
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape), indexing="ij")
    distance = sum((axis - 0.2).square() for axis in axes)
    labels = (distance < 0.5).long() + (distance < 0.15).long()
    image = labels + 0.5 * torch.randn(BATCH, CHANNELS, *shape, generator=draw)
    inner = tuple(slice((n - m) // 2, (n + m) // 2) for n, m in zip(shape, net.output_shape(shape), strict=True))
    return image, labels[inner].expand(BATCH, *net.output_shape(shape)).contiguous()


def loss_of(net: nn.Module, image: Tensor, labels: Tensor, half: bool) -> Tensor:
    """The usual loss, of images handed over as training does."""
    from hyoid.losses import DeepSupervision, losses

    torch.manual_seed(1)
    with torch.autocast("cpu", HALF, enabled=half):
        logits = net(image.to(HALF) if half else image)
    return DeepSupervision(losses.build("dice_ce"))(logits, labels)


def gradients(net: nn.Module, given: tuple[Tensor, Tensor], half: bool) -> tuple[float, dict[str, Tensor]]:
    """The loss of images and labels, and the gradient of each parameter that has one."""
    net.zero_grad()
    loss = loss_of(net, *given, half)
    loss.backward()
    return loss.item(), {name: one.grad.clone() for name, one in net.named_parameters() if one.grad is not None}


def steps(net: nn.Module, dims: int, half: bool) -> str:
    """The losses of the first and the last of five steps, or what stopped them."""
    heavy, values = sum(one.numel() for one in net.parameters()) > HEAVY, list[float]()
    kind: Callable[..., Any] = torch.optim.SGD if heavy else torch.optim.AdamW
    optimiser = kind(net.parameters(), 1e-3)
    for step in range(STEPS):
        loss, _ = gradients(net, batch(net, dims, step), half)
        norm = nn.utils.clip_grad_norm_(net.parameters(), 12.0)
        values.append(loss)
        if not (math.isfinite(loss) and norm.isfinite()):
            return f"stops at step {step + 1}: loss {loss:.3g}, gradient {float(norm):.3g}"
        optimiser.step()
    return f"{values[0]:.3f} to {values[-1]:.3f}"


def calmed(net: nn.Module) -> nn.Module:
    """The same net that drops nothing, with batch norms that are fixed: over two values they turn rounding into signs.

    `tests/contracts/test_every_block.py` compares batch norms that learn.
    """
    for module in net.modules():
        if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
            module.p = 0.0
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    return net


def compared(name: str, dims: int) -> dict[str, Any]:
    """The figures of one net."""
    from hyoid.nets import build_spec

    torch.manual_seed(0)
    net = build_spec(name, dims, CHANNELS, CLASSES).build()
    start = {key: value.clone() for key, value in net.state_dict().items()}
    row: dict[str, Any] = {"parameters": sum(one.numel() for one in net.parameters())}
    for half in (False, True):
        row["bf16" if half else "fp32"] = steps(net, dims, half)
        net.load_state_dict(start)
    net, given = calmed(net), batch(net, dims)
    (_, exact), (_, rough) = (gradients(net, given, half) for half in (False, True))
    with EachInFull() as mode:
        _, rounded = gradients(net, given, half=True)
    largest = max(one.norm() for one in exact.values())
    keys = [key for key, one in exact.items() if one.norm() > RELEVANT * largest]
    alike, own = ({key: cosine(other[key], rough[key]) for key in keys} for other in (exact, rounded))
    return row | {
        "compared": len(keys),
        "below": sum(value < ALIKE for value in alike.values()),
        "least": min(alike.values()),
        "own_below": sum(value < ALIKE for value in own.values()),
        "own_least": min(own.values()),
        "where": min(own, key=lambda key: own[key]),
        "operations": dict(sorted(mode.least.items(), key=lambda item: item[1])[:3]),
    }


def _child(name: str, dims: int, off: bool, end: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if off:
        switch_off()
    try:
        end.send(compared(name, dims))
    except Exception as error:
        end.send({"failure": f"{type(error).__name__}: {error}".splitlines()[0][:160]})


def attempt(name: str, dims: int, off: bool) -> dict[str, Any]:
    """The figures of one net, or what ended it."""
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_child, args=(name, dims, off, there))
    begin = time.perf_counter()
    child.start()
    there.close()
    try:
        row = here.recv()
    except EOFError:
        row = None
    child.join()
    if row is None:
        code = signal.Signals(-child.exitcode).name if child.exitcode < 0 else str(child.exitcode)
        row = {"failure": f"longer than {SECONDS} s" if code == "SIGXCPU" else f"ended by {code}"}
    return row | {"seconds": round(time.perf_counter() - begin, 1)}


def switch_off() -> None:
    """Let convolutions be torch's own."""
    from hyoid.nets import half

    half.learns_in_half = lambda x: False


COLUMNS = "net | parameters | loss, fp32 | loss, bf16 | least, rounded | below | least, fp32 | below | operation"


def table(rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The figures of all nets as Markdown."""
    yield f"| {COLUMNS} |"
    count = len(COLUMNS.split(" | "))
    yield "|---" * count + "|"
    for name, row in rows.items():
        if "failure" in row:
            yield f"| `{name}` | {row['failure']} |" + " |" * (count - 2)
            continue
        worst, value = next(iter(row["operations"].items()), ("none", 1.0))
        cells = (
            f"{row['parameters'] / 1e6:.2f} M",
            row["fp32"],
            row["bf16"],
            f"{row['own_least']:.4f}",
            f"{row['own_below']} of {row['compared']}",
            f"{row['least']:.4f}",
            f"{row['below']}",
            f"{worst} {value:.5f}",
        )
        yield f"| `{name}` | {' | '.join(cells)} |"


def all_nets(into: Path, names: list[str], dims: list[int], off: bool) -> None:
    """Every net in these dimensions."""
    from hyoid.nets import nets
    from hyoid.nets.sheet import made_for

    into.mkdir(parents=True, exist_ok=True)
    file = into / "results.json"
    rows = json.loads(file.read_text()) if file.is_file() else {}
    for key in [(name, count) for count in dims for name in names or nets if count in made_for(name)]:
        text = f"{key[0]} {key[1]}D"
        if text not in rows:
            rows[text] = attempt(*key, off)
            print(text, rows[text], file=sys.stderr, flush=True)
            file.write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(table(rows)))


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "3": ("Conv3d", {"kernel_size": 3, "padding": 1}),
    "3, in groups": ("Conv3d", {"kernel_size": 3, "padding": 1, "groups": 16}),
    "3, spread by 2": ("Conv3d", {"kernel_size": 3, "padding": 2, "dilation": 2}),
    "3, steps of 2": ("Conv3d", {"kernel_size": 3, "padding": 1, "stride": 2}),
    "5": ("Conv3d", {"kernel_size": 5, "padding": 2}),
    "5, steps of 2": ("Conv3d", {"kernel_size": 5, "padding": 2, "stride": 2}),
    "7": ("Conv3d", {"kernel_size": 7, "padding": 3}),
    "3, transposed": ("ConvTranspose3d", {"kernel_size": 3, "padding": 1}),
    "4, transposed, steps of 2": ("ConvTranspose3d", {"kernel_size": 4, "padding": 1, "stride": 2}),
    "2, transposed, steps of 2": ("ConvTranspose3d", {"kernel_size": 2, "stride": 2}),
    "images: 3, steps of 2": ("Conv2d", {"kernel_size": 3, "padding": 1, "stride": 2}),
    "images: 3, steps of 3": ("Conv2d", {"kernel_size": 3, "padding": 1, "stride": 3}),
    "images: 7, steps of 2": ("Conv2d", {"kernel_size": 7, "padding": 3, "stride": 2}),
}
"""Convolutions of 64 channels, by their kernel."""

SLICES, NARROW, ROWS, HANGS = (1, 2, 3, 4, 5, 6, 8), (1, 2, 3), 16, 20


def shapes() -> Iterator[str]:
    """Cosines by kernel and slices of volumes of 8 x 9, or columns of images, as torch's own gives them and as here."""
    import hyoid.nets  # noqa: F401  (once, for all processes)

    yield "| kernel | slices or columns: torch -> hyoid |\n|---|---|"
    for words, (kind, options) in KINDS.items():
        cells = []
        for count in NARROW if kind == "Conv2d" else SLICES:
            size = (ROWS, count) if kind == "Conv2d" else (count, 8, 9)
            ends = [apart(probe, kind, options, size, off) for off in (True, False)]
            cells.append(f"{count}: {ends[0]} -> {ends[1]}")
        yield f"| {words} | {', '.join(cells)} |"


def apart(work: Callable[..., str], *given: Any) -> str:
    """What work gives in a process of its own; "crash" when this ends otherwise, "hangs" when it does not end."""
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=lambda: there.send(work(*given)))
    child.start()
    there.close()
    try:
        return str(here.recv()) if here.poll(HANGS) else "hangs"
    except EOFError:
        return "crash"
    finally:
        child.kill()
        child.join()


def probe(kind: str, options: dict[str, Any], size: tuple[int, ...], off: bool) -> str:
    """The least cosine of a convolution's gradient in both layouts of memory, or what its norm is off by."""
    from hyoid.nets import half
    from hyoid.nets.layers import channels_last

    if off:
        switch_off()
    torch.manual_seed(0)
    layer, maps, found = getattr(half, kind)(64, 64, **options), torch.randn(2, 64, *size), list[float]()
    slope = torch.randn(layer(maps).shape)
    (exact,) = torch.autograd.grad(layer(maps), layer.weight, slope)
    for given in (maps, channels_last(maps)):
        with torch.autocast("cpu", HALF):
            (rough,) = torch.autograd.grad(layer(given).float(), layer.weight, slope)
        found.append(cosine(exact, rough))
    return f"{min(found):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("shapes", "nets"))
    parser.add_argument("--into", type=Path)
    parser.add_argument("--nets", nargs="*", default=())
    parser.add_argument("--dims", nargs="*", type=int, default=(2, 3))
    parser.add_argument("--off", action="store_true")
    options = parser.parse_args()
    if options.what == "nets":
        if options.into is None:
            parser.error("nets needs --into FOLDER")
        all_nets(options.into, list(options.nets), list(options.dims), options.off)
    else:
        for line in shapes():
            print(line, flush=True)


if __name__ == "__main__":
    run_plainly(main)
