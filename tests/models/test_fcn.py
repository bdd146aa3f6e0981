"""Upsampling and skips of the fully convolutional networks."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from geoseg.models.architectures import Architecture, build
from geoseg.models.fcn import bilinear_upsampling

ENCODER = "mobilenetv3_small_050"


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_upsampling_starts_as_bilinear_interpolation(factor):
    x = torch.randn(2, 3, 6, 5)
    with torch.inference_mode():
        found = bilinear_upsampling(3, factor)(x)
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    assert found.shape == expected.shape
    inner = (..., slice(factor, -factor), slice(factor, -factor))  # outside the image there are zeros
    assert torch.allclose(found[inner], expected[inner], atol=1e-5)


@pytest.mark.parametrize(("name", "strides"), [("fcn32s", 1), ("fcn16s", 2), ("fcn8s", 3)])
def test_a_prediction_has_as_many_skips_as_its_name_says(name, strides):
    network = build(Architecture(name=name, encoder=ENCODER), bands=3, classes=4)
    widths = network.encoder.out_channels
    assert [score.in_channels for score in network.scores] == list(widths[::-1][:strides])
    assert network.enlarge.stride == (32 >> (strides - 1),) * 2


def test_before_training_the_skips_say_nothing_and_can_learn():
    torch.manual_seed(0)
    networks = [
        build(Architecture(name=n, encoder=ENCODER), bands=3, classes=4).eval() for n in ("fcn32s", "fcn8s")
    ]
    shared = {k: v for k, v in networks[1].state_dict().items() if k.startswith(("encoder.", "scores.0."))}
    networks[0].load_state_dict(shared, strict=False)
    x = torch.randn(1, 3, 128, 128)
    coarse, fine = (network(x) for network in networks)
    both = torch.stack((coarse.flatten(), fine.flatten()))  # they interpolate the same scores, in other steps
    assert torch.corrcoef(both)[0, 1] > 0.99
    fine.square().mean().backward()
    assert all(score.weight.grad.abs().max() > 0 for score in networks[1].scores)
