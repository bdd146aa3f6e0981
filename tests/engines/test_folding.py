from __future__ import annotations

import pytest
import torch
from torch import nn

from geoseg.engines.folding import fold_batch_norms
from geoseg.models.architectures import Architecture

from ..models import bundles as made


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("decoder", "encoder"),
    [("unet", "mobilenet_v2"), ("fpn", "tu-mobilenetv3_small_050"), ("deeplabv3plus", "resnet18")],
)
def test_the_folded_network_is_the_same_function(decoder, encoder):
    network = made.network(Architecture(name=decoder, encoder=encoder))
    folded, count = fold_batch_norms(network, torch.randn(1, 3, 64, 64))
    assert count > 10
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    unseen = torch.randn(2, 3, 96, 128) * 2
    with torch.inference_mode():
        expected, found = network(unseen), folded(unseen)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


class TwoReaders(nn.Module):
    """A convolution whose output is used before and after its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y + self.norm(y)


class TwoCalls(nn.Module):
    """One convolution in front of two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.conv(self.first(self.conv(x))))


@pytest.mark.parametrize("kind", [TwoReaders, TwoCalls])
def test_a_network_that_cannot_be_folded_is_left_alone(kind):
    network = kind()
    for _ in range(20):
        network.train()(torch.randn(4, 3, 8, 8) * 3 + 1)
    network.eval()
    example = torch.randn(1, 3, 32, 32)
    before = network(example)
    folded, count = fold_batch_norms(network, example)
    assert count == 0
    assert folded is network
    assert torch.equal(network(example), before)


def test_a_network_without_norms_is_left_alone():
    network = made.network(Architecture(name="linear"))
    assert fold_batch_norms(network, torch.randn(1, 3, 32, 32)) == (network, 0)
