"""What every net on the shelf keeps to, in 2D and in 3D."""

from __future__ import annotations

import copy
import io
import math

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hyoid.core.citations import cite
from hyoid.losses import DeepSupervision, losses
from hyoid.nets import build_spec, nets
from hyoid.nets.cost import cost

IN_CHANNELS, OUT_CHANNELS = 2, 3
EVERY_NET = [(name, dims) for name in nets for dims in (2, 3)]
every_net = pytest.mark.parametrize(("name", "dims"), EVERY_NET, ids=[f"{name}-{dims}d" for name, dims in EVERY_NET])


SMALLER = {
    "transunet": {"hidden": 24, "heads": 3, "layers": 2, "image": 32, "decoder": (16, 12, 8)},
    "h_dense_unet": {
        "entrance": 8,
        "growth": (4, 4),
        "layers": (1, 2),
        "layers_3d": (1, 1),
        "features": 8,
    },
    "segcaps": {"kernel": 3, "atoms": 8},
    "vm_unet": {"token": 2, "channels": (16, 24, 32), "states": 4},
}
"""What makes a net small, beside its channels."""


def small_spec(name: str, dims: int):
    spec = build_spec(name, dims, IN_CHANNELS, OUT_CHANNELS)
    fields = {"channels": (8, 12, 16)} if "channels" in type(spec).model_fields else {}
    return build_spec(name, dims, IN_CHANNELS, OUT_CHANNELS, **{**fields, **SMALLER.get(name, {})})


def small_net(name: str, dims: int) -> nn.Module:
    torch.manual_seed(0)
    return small_spec(name, dims).build()


def image(net, dims: int, batch: int = 2, size: int = 9, seed: int = 1) -> torch.Tensor:
    """An image of the first accepted size above an odd one, another along each axis."""
    shape = net.fitting_shape([size + 2 * axis for axis in range(dims)])
    return torch.randn(batch, IN_CHANNELS, *shape, generator=torch.Generator().manual_seed(seed))


@every_net
def test_logits_have_the_announced_shape_finest_first(name, dims):
    net = small_net(name, dims)
    x = image(net, dims)
    logits = net(x)
    assert isinstance(logits, tuple)
    assert logits[0].shape == (len(x), OUT_CHANNELS, *net.output_shape(x.shape[2:]))
    sizes = [math.prod(level.shape[2:]) for level in logits]
    assert sizes == sorted(sizes, reverse=True)
    assert net.input_shape(logits[0].shape[2:]) == x.shape[2:]


@every_net
def test_smallest_image_and_batch_of_one(name, dims):
    net = small_net(name, dims).eval()
    shape = net.fitting_shape([1] * dims)
    (logits,) = net(torch.randn(1, IN_CHANNELS, *shape))
    assert logits.shape == (1, OUT_CHANNELS, *net.output_shape(shape))
    assert logits.isfinite().all()


def awake(net: nn.Module) -> nn.Module:
    """The net without dropout, and without the zeros at which norms may start and hold back what lies before them."""
    for module in net.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d | nn.Dropout3d):
            module.p = 0.0
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    return net


def pull(net: nn.Module, x: torch.Tensor) -> None:
    """Give every parameter a gradient; the same for the same shapes."""
    generator = torch.Generator().manual_seed(2)
    torch.manual_seed(4)  # some nets draw their answers
    sum((level * torch.randn(level.shape, generator=generator)).sum() for level in net(x)).backward()


@every_net
def test_gradients_reach_every_parameter(name, dims):
    """A bias before a batch norm is only moved by rounding, which may be nothing for one image; so several pull."""
    net = awake(small_net(name, dims))
    for seed in (1, 2, 3):
        pull(net, image(net, dims, seed=seed))
    without = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    assert not without
    assert all(value.grad.isfinite().all() for value in net.parameters())


@pytest.mark.slow
@every_net
@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_are_those_in_double_precision(name, dims, batch):
    """Double precision goes through other kernels and another memory layout.

    Rounding may turn an activation over at its kink and with it a gradient, so one image of three has to agree.
    """
    net = awake(small_net(name, dims))
    exact = copy.deepcopy(net).double()
    assert any(agree(net, exact, image(net, dims, batch, seed=seed)) for seed in (1, 2, 3))


def agree(net: nn.Module, exact: nn.Module, x: torch.Tensor) -> bool:
    """Whether the gradients of all parameters are those of the net in double precision.

    Those that are nothing there, such as of a bias before a norm, are rounding alone, in either precision its own.
    """
    net.zero_grad(), exact.zero_grad()
    pull(net, x)
    pull(exact, x.double().requires_grad_())
    largest = max(other.grad.norm() for other in exact.parameters())
    limits = 1e-4 * (1 + x.numel() ** 0.5)
    for one, other in zip(net.parameters(), exact.parameters(), strict=True):
        rounding = 2**33 * other.grad.norm() if other.grad.norm() <= 1e-9 * largest else 0.0  # 2**29 times as coarse
        if (one.grad - other.grad).norm() > 0.01 * other.grad.norm() + limits + rounding:
            return False
    return True


@every_net
@pytest.mark.parametrize("scale", [0.0, 1e4], ids=["zeros", "large"])
def test_logits_stay_finite(name, dims, scale):
    net = small_net(name, dims)
    assert all(level.isfinite().all() for level in net(scale * image(net, dims)))


@every_net
def test_logits_in_bfloat16_are_near_those_in_float32(name, dims):
    net = small_net(name, dims).eval()
    x = image(net, dims)
    with torch.no_grad():
        (exact,) = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            (rough,) = net(x.bfloat16())  # training in mixed precision hands images over like this
    assert rough.isfinite().all()
    assert (rough.float() - exact).abs().mean() < 0.05 * exact.abs().mean() + 1e-3


@every_net
def test_evaluation_is_deterministic_and_gives_the_finest_logits(name, dims):
    net = small_net(name, dims).eval()
    x = image(net, dims)
    (first,), (second,) = net(x), net(x)
    assert torch.equal(first, second)


@every_net
def test_the_last_convolution_makes_the_finest_logits(name, dims):
    net, made = small_net(name, dims).eval(), []
    head = net.last_convolution()
    if head is None:
        return
    head.register_forward_hook(lambda module, given, outcome: made.append(outcome))
    x = image(net, dims)
    (logits,) = net(x)
    assert len(made) == 1 and torch.equal(logits, made[0])
    assert head.out_channels == OUT_CHANNELS and set(head.kernel_size) == {1}


@every_net
def test_spec_survives_yaml(name, dims):
    spec = small_spec(name, dims)
    assert type(spec).parse(yaml.safe_load(spec.to_yaml())) == spec


@every_net
def test_weights_survive_safetensors(name, dims, tmp_path):
    net, other = small_net(name, dims).eval(), small_spec(name, dims).build().eval()
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x = image(net, dims)
    assert torch.equal(net(x)[0], other(x)[0])


@every_net
def test_cost_counts_the_parameters(name, dims):
    net = small_net(name, dims)
    counted = cost(small_spec(name, dims), net.fitting_shape([17] * dims))
    assert counted.parameters == sum(parameter.numel() for parameter in net.parameters())
    assert counted.flops > 0 and counted.activation_values > 0 and min(counted.receptive_field) > 1


@every_net
def test_cost_is_what_a_real_forward_pass_takes(name, dims):
    """Operations by torch's counter, and what autograd keeps, of tensors with numbers."""
    net = small_net(name, dims)
    x = torch.randn(1, IN_CHANNELS, *net.fitting_shape([17] * dims))
    kept, known = {}, {one.untyped_storage()._cdata for one in [*net.parameters(), *net.buffers()]}

    def keep(tensor):
        if tensor.untyped_storage()._cdata not in known:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), FlopCounterMode(display=False) as flops:
        net(x)
    told = cost(small_spec(name, dims), x.shape[2:])
    assert told.flops == pytest.approx(flops.get_total_flops(), rel=0.15)
    values = sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / 4
    # on CPUs torch keeps a second copy of 2D maps that enter a group norm; here they all do
    assert told.activation_values == pytest.approx(values, rel=0.2 if name == "residual_unet_3d" else 0.15)


@pytest.mark.parametrize("name", nets)
def test_papers_and_summary_are_known(name):
    assert cite(nets[name].papers)
    assert nets[name].summary


EXPORTED = [(name, dims) for name, dims in EVERY_NET if (name, dims) != ("vm_unet", 3)]
"""All but one whose scan along four ways through a volume takes the exporter long; in 2D it is exported."""
ONNX_IN_3D = {"unet3d", "segresnet", "unet_plus_plus", "unetr", "deeplab_v3", "unet_25d"}
"""Of each kind of graph one, for time."""
LONG_IN_ONNX = {"punet", "vm_unet"}
"""The converter takes minutes for the many small operations of their scans; PUNet's answers agreed to 4e-7."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch's exporter, of itself
@pytest.mark.parametrize(("name", "dims"), EXPORTED)
def test_exported_programs_answer_as_the_net_does(name, dims):
    """By torch.export, saved and loaded, and by ONNX Runtime."""
    import onnxruntime

    net = awake(small_net(name, dims)).eval().requires_grad_(False)
    x, file = image(net, dims, batch=1), io.BytesIO()
    (logits,) = net(x)
    program = torch.export.export(net, (x,))
    torch.export.save(program, file)
    file.seek(0)
    near = {"rtol": 0, "atol": 1e-4 * logits.abs().max().item()}
    torch.testing.assert_close(torch.export.load(file).module()(x)[0], logits, **near)
    if name in ONNX_IN_3D if dims == 3 else name not in LONG_IN_ONNX:
        model = torch.onnx.export(program, dynamo=True, verbose=False).model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        (answer,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(answer), logits, **near)


@pytest.mark.slow
@every_net
def test_loss_falls_by_half_in_sixty_steps(name, dims):
    """At the usual rate, or at half of it, which nets of tokens prefer."""
    assert any(share_left_by_sixty_steps(name, dims, rate) < 0.5 for rate in (1e-2, 5e-3))


def share_left_by_sixty_steps(name: str, dims: int, rate: float) -> float:
    """What sixty steps on a phantom leave of the loss."""
    net = small_net(name, dims)
    shape = net.fitting_shape([16] * dims)
    inner = tuple(slice((n - m) // 2, (n + m) // 2) for n, m in zip(shape, net.output_shape(shape), strict=True))
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape), indexing="ij")
    distance = torch.stack(axes).square().sum(0)
    target = (distance < 0.3).long() + (distance < 0.1).long()
    image = torch.stack([target + 0.3 * torch.randn(shape), torch.randn(shape)]).unsqueeze(0).float()
    loss = DeepSupervision(losses.build("dice_ce"))
    optimiser = torch.optim.AdamW(net.parameters(), rate)
    values = []
    for _ in range(60):
        optimiser.zero_grad()
        value = loss(net(image), target[inner].unsqueeze(0))
        value.backward()
        optimiser.step()
        values.append(value.item())
    return min(values[-5:]) / values[0]
