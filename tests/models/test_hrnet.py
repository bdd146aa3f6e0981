"""The parts of the object-contextual head against their equations, written out in loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.errors import UsageError
from geoseg.models.architectures import Architecture, build
from geoseg.models.hrnet import Relation, describe_regions

SMALL = {"mid_channels": 32, "key_channels": 16}


def softmax(values):
    return np.exp(values - values.max()) / np.exp(values - values.max()).sum()


def test_a_region_is_the_weighted_mean_of_its_pixels():
    generator = torch.Generator().manual_seed(0)
    coarse, pixels = (torch.randn(2, n, 3, 4, generator=generator) for n in (5, 6))
    found = describe_regions(coarse, pixels).numpy()
    assert found.shape == (2, 6, 5, 1)
    for n in range(2):
        for k in range(5):
            weights = softmax(coarse[n, k].numpy().ravel())
            expected = (pixels[n].reshape(6, -1).numpy() * weights).sum(1)
            np.testing.assert_allclose(found[n, :, k, 0], expected, atol=1e-6)


def test_a_region_of_one_pixel_is_that_pixel():
    coarse, pixels = torch.zeros(1, 2, 4, 4), torch.randn(1, 6, 4, 4)
    coarse[0, 1, 2, 3] = 100
    found = describe_regions(coarse, pixels)
    assert torch.allclose(found[0, :, 1, 0], pixels[0, :, 2, 3])
    assert torch.allclose(found[0, :, 0, 0], pixels.mean((2, 3))[0], atol=1e-6)


def test_context_is_the_attention_of_pixels_over_regions():
    torch.manual_seed(0)
    relation = Relation(6, 4).eval()
    pixels, regions = torch.randn(1, 6, 3, 5), torch.randn(1, 6, 7, 1)
    with torch.inference_mode():
        found = relation(pixels, regions)
        query, key, value = relation.query(pixels)[0], relation.key(regions)[0], relation.value(regions)[0]
        context = np.zeros((1, 4, 3, 5), np.float32)
        for row in range(3):
            for col in range(5):
                alike = np.array([float(query[:, row, col] @ key[:, k, 0]) / 4**0.5 for k in range(7)])
                context[0, :, row, col] = value[:, :, 0].numpy() @ softmax(alike)
        expected = relation.widen(torch.from_numpy(context))
    assert torch.allclose(found, expected, atol=1e-5)


def test_auxiliary_logits_come_with_the_others_on_request_only():
    network = build(
        Architecture(name="hrnetv2_ocr", encoder="hrnet_w18_small", arguments=SMALL), bands=4, classes=3
    )
    assert network.auxiliary_weight == 0.4
    x = torch.randn(2, 4, 40, 64)
    network.eval()
    with torch.inference_mode():
        logits, auxiliary = network(x, auxiliary=True)
        assert torch.equal(network(x), logits)
    assert logits.shape == auxiliary.shape == (2, 3, 40, 64)
    assert not torch.allclose(logits, auxiliary)

    network.train()(x, auxiliary=True)[1].square().mean().backward()
    assert network.regions[1].bias.grad.abs().max() > 0  # which the logits alone leave at zero
    assert network.classify.weight.grad is None


def test_the_head_takes_what_the_branches_give():
    network = build(Architecture(name="hrnetv2", encoder="hrnet_w18"), bands=3, classes=2)
    assert network.classify.in_channels == 18 + 36 + 72 + 144  # widths of HRNet-W18, from the paper


def test_other_encoders_are_refused_with_those_that_are_there():
    with pytest.raises(UsageError, match=r"resnet34.*expected one of hrnet_w18"):
        build(Architecture(name="hrnetv2", encoder="resnet34"), bands=3, classes=2)
