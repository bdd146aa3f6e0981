"""Change networks against their encoder run on each date alone."""

from __future__ import annotations

import pytest
import torch

from geoseg.errors import UsageError
from geoseg.models.architectures import Architecture, build
from geoseg.models.encoder_weights import load_encoder

ENCODER = "mobilenetv3_small_050"


def made(name: str, bands: int = 6, **arguments: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(Architecture(name=name, encoder=ENCODER, arguments=arguments), bands=bands, classes=3).eval()


@pytest.mark.parametrize("name", ["siamese_diff", "siamese_conc"])
def test_the_decoder_sees_what_one_encoder_says_of_each_date(name: str) -> None:
    network = made(name)
    seen: list[torch.Tensor] = []
    network.decoder.register_forward_pre_hook(lambda _module, given: seen.extend(given[0]))
    before, after = torch.randn(2, 2, 3, 64, 96)
    with torch.inference_mode():
        network(torch.cat((before, after), dim=1))
        dates = list(zip(network.encoder(before), network.encoder(after), strict=True))
    for found, (first, second) in zip(seen[:-1], dates[:-1], strict=True):
        expected = (first - second).abs() if name == "siamese_diff" else torch.cat((first, second), dim=1)
        assert torch.allclose(found, expected, atol=1e-5)
    first, second = dates[-1]
    start = (first - second).abs() if name == "siamese_diff" else first
    assert torch.allclose(seen[-1], torch.cat((start, second), dim=1), atol=1e-5)


@pytest.mark.parametrize("name", ["siamese_diff", "siamese_conc"])
def test_clearing_is_not_regrowth(name: str) -> None:
    """Dates in the other order give other logits, also where skips carry absolute differences."""
    network = made(name).train()  # with its random weights, the statistics of the batch keep deep signals up
    before, after = torch.randn(2, 2, 3, 64, 64)
    with torch.inference_mode():
        there, back = (network(torch.cat(pair, dim=1)) for pair in ((before, after), (after, before)))
    assert float((there - back).abs().max()) > 0.05 * float(there.std())


def test_an_odd_number_of_bands_is_refused() -> None:
    with pytest.raises(UsageError, match=r"even number of bands, found 5"):
        made("siamese_diff", bands=5)


def test_the_encoder_takes_one_date_and_its_pretrained_weights(tmp_path) -> None:
    torch.manual_seed(1)
    donor = build(Architecture(name="unet", encoder=ENCODER), bands=4, classes=2)
    torch.save(donor.state_dict(), tmp_path / "w.pth")
    network = made("siamese_conc", bands=8)
    load_encoder(network, tmp_path / "w.pth")
    own = donor.encoder.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in network.encoder.state_dict().items())


def test_a_shallower_encoder_by_fewer_widths() -> None:
    network = made("siamese_diff", decoder_channels=[32, 16, 8])
    with torch.inference_mode():
        assert network(torch.randn(1, 6, 50, 64)).shape == (1, 3, 50, 64)
    assert network.classify.in_channels == 8
