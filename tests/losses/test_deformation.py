"""Smoothness of displacement fields: against MONAI and by hand."""

from __future__ import annotations

import pytest
import torch

from hyoid.losses import field_losses


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize("dims", [2, 3])
def test_bending_energy_equals_monai(dims):
    from monai.losses import BendingEnergyLoss

    field = torch.randn(2, dims, *(7, 8, 9)[:dims], generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(field_losses.build("bending_energy")(field), BendingEnergyLoss()(field))


def test_affine_fields_do_not_bend_and_constant_ones_do_not_diffuse():
    places = torch.stack(torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij"))[None]
    affine = torch.einsum("ij,bjhw->bihw", torch.tensor([[0.3, 0.1], [-0.2, 0.5]]), places) + 2
    assert field_losses.build("bending_energy")(affine) < 1e-10
    assert field_losses.build("diffusion")(torch.full((1, 2, 5, 5), 3.0)) == 0
    # du0/dx, du0/dy, du1/dx, du1/dy as in the matrix: mean over axes and components of their squares
    expected = (0.3**2 + 0.1**2 + 0.2**2 + 0.5**2) / 4
    assert field_losses.build("diffusion")(affine).item() == pytest.approx(expected, rel=1e-5)
    stretched = field_losses.build("diffusion", spacing=(1.0, 2.0))(affine).item()
    assert stretched == pytest.approx((0.3**2 + 0.05**2 + 0.2**2 + 0.25**2) / 4, rel=1e-5)


@pytest.mark.parametrize("name", field_losses)
def test_fields_have_gradients_everywhere(name):
    field = torch.randn(1, 3, 6, 6, 6, dtype=torch.bfloat16, requires_grad=True)
    loss = field_losses.build(name)(field)
    loss.backward()
    assert loss.dtype == torch.float32 and loss > 0 and field.grad.isfinite().all() and field.grad.any()
