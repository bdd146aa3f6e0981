"""What every architecture promises; a new line in ARCHITECTURES is tested without a new test."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from geoseg.errors import UsageError
from geoseg.models import architectures
from geoseg.models.architectures import (
    ARCHITECTURES,
    OBJECTS,
    PROMPTED,
    SEVERAL,
    Architecture,
    build,
    describe,
    resolve,
)
from geoseg.models.bundle import load_bundle
from geoseg.models.network import load_network

from . import bundles as made

# test_object_networks.py, test_one_decoder.py and test_prompter.py have the others
_PIXELS = [name for name in ARCHITECTURES if name not in {*OBJECTS, *PROMPTED, *SEVERAL}]
_SIDE = {"pan": 128}  # its attention pools the deepest features, 1/32 of the input, twice more
_SPECIAL = {
    "linear": Architecture(name="linear"),
    "dynamic_world": Architecture(name="dynamic_world"),
    "spectral_index": Architecture(name="spectral_index"),
    "nearest_centre": Architecture(name="nearest_centre"),
    "random_forest": Architecture(name="random_forest", arguments={"nodes": 5, "depths": [2, 1, 2]}),
    "dpt": Architecture(name="dpt", encoder="vit_tiny_patch16_224", arguments={"dynamic_img_size": True}),
    "hrnetv2": Architecture(name="hrnetv2", encoder="hrnet_w18_small"),
    "hrnetv2_ocr": Architecture(
        name="hrnetv2_ocr", encoder="hrnet_w18_small", arguments={"mid_channels": 32, "key_channels": 16}
    ),
    "deeplabv3_torchvision": Architecture(name="deeplabv3_torchvision", encoder="mobilenet_v3_large"),
}
_TWO_DATES = ("siamese_diff", "siamese_conc")
_PADDED = ("hrnetv2", "hrnetv2_ocr", "fcn32s", "fcn16s", "fcn8s", *_TWO_DATES)
_RULES = ("spectral_index", "nearest_centre", "random_forest")
_ANY_SIZE = (*_PADDED, "deeplabv3_torchvision", "linear", *_RULES)
# parameters that the decoder leaves unused in the encoder that it is given
_UNUSED = {"pspnet": ("encoder.model.blocks.",), "dpt": ("encoder.model.norm.", "encoder.model.head.")}


def small(name: str) -> Architecture:
    return _SPECIAL.get(name, Architecture(name=name, encoder="mobilenetv3_small_050"))


def total(name: str, bands: int) -> int:
    """Bands that the network takes for that many of one date."""
    return 2 * bands if name in _TWO_DATES else bands


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network of three classes in evaluation mode, and tiles that it takes."""

    name: str
    bands: int
    side: int
    network: nn.Module


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="module", params=_PIXELS)
def case(request):
    """Built once for all tests that only look at it."""
    torch.manual_seed(0)
    name = request.param
    bands = total(name, 3)
    network = build(small(name), bands=bands, classes=3).eval()
    return Case(name=name, bands=bands, side=_SIDE.get(name, 64), network=network)


@pytest.mark.parametrize("name", _PIXELS)
def test_logits_of_every_class_for_any_number_of_bands(name):
    side = _SIDE.get(name, 64)
    for bands in (total(name, n) for n in (1, 7)):
        network = build(small(name), bands=bands, classes=5).eval()
        with torch.inference_mode():
            logits = network(torch.randn(1, bands, side, side + 32))
        assert logits.shape == (1, 5, side, side + 32)
        assert logits.isfinite().all()


@pytest.mark.parametrize("case", _ANY_SIZE, indirect=True, scope="module")
@pytest.mark.parametrize("size", [(65, 97), (31, 64), (1, 7)])
def test_odd_sizes_come_back_as_they_went_in(case, size):
    with torch.inference_mode():
        assert case.network(torch.randn(1, case.bands, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("case", _PADDED, indirect=True, scope="module")
def test_what_is_padded_and_cut_shows_at_that_edge_only(case):
    """An odd size is its image with the last row and column repeated."""
    odd = torch.randn(1, case.bands, 60, 50)
    whole = torch.nn.functional.pad(odd, (0, 14, 0, 4), mode="replicate")
    with torch.inference_mode():
        found, expected = case.network(odd), case.network(whole)[..., :60, :50]
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    assert float(expected.std()) > 0


def test_the_gradient_reaches_every_parameter(case):
    network = copy.deepcopy(case.network).train()
    network(torch.randn(2, case.bands, case.side, case.side)).square().mean().backward()
    unreached = [key for key, value in network.named_parameters() if value.grad is None]
    assert [key for key in unreached if not key.startswith(_UNUSED.get(case.name, ()))] == []


def test_a_tile_does_not_see_its_neighbours_in_the_batch(case):
    first, second, other = torch.randn(3, case.bands, case.side, case.side)
    with torch.inference_mode():
        pairs = [case.network(torch.stack(pair))[0] for pair in ((first, second), (first, other * 100))]
    assert torch.equal(*pairs)


def test_a_bundle_in_half_precision_gives_the_same_network_each_time(case, tmp_path):
    half = case.name != "random_forest"  # the thresholds of its leaves are beyond float16
    contract = made.contract(case.bands)
    saved = made.bundle(tmp_path, small(case.name), network=case.network, contract=contract, half=half)
    first, second = (load_network(load_bundle(saved.path)) for _ in range(2))
    loaded = first.state_dict()
    for key, value in case.network.state_dict().items():
        kept = value.half().float() if half and value.is_floating_point() else value
        assert torch.equal(loaded[key], kept)
    x = torch.randn(1, case.bands, case.side, case.side)
    with torch.inference_mode():
        assert torch.equal(first(x), first(x))
        assert torch.equal(first(x), second(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", _PIXELS)
def test_the_exported_network_gives_the_same_logits(name, tmp_path):
    pytest.importorskip("onnxruntime")
    from geoseg.engines.onnx_export import export_onnx

    bands = total(name, 3)
    saved = made.bundle(
        tmp_path,
        small(name),
        network=build(small(name), bands=bands, classes=3),
        contract=made.contract(bands),
    )
    exported = export_onnx(saved, tmp_path / "model.onnx", tile=_SIDE.get(name, 64))
    assert exported.agreement > 0.999
    assert exported.difference < 1e-3


def test_every_architecture_is_described_without_loading_it():
    described = {d.name: d for d in describe()}
    assert list(described) == list(ARCHITECTURES)
    assert described["unet"].what == "U-Net"
    assert described["unet"].paper == "Ronneberger et al. 2015, arXiv 1505.04597"
    assert described["linear"].paper == ""
    assert all(d.what and (d.paper or d.name == "linear") for d in described.values())


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UsageError, match=r"unknown architecture 'unett'.*Try: 'unet'"):
        resolve("unett")
    with pytest.raises(UsageError, match=r"unknown encoder 'resnet35'.*resnet34"):
        build(Architecture(name="unet", encoder="resnet35"), bands=3, classes=2)


def test_arguments_that_the_factory_does_not_take_are_refused():
    wrong = Architecture(name="unet", encoder="resnet18", arguments={"decoder_chanels": [1]})
    with pytest.raises(UsageError, match="decoder_chanels"):
        build(wrong, bands=3, classes=2)


def test_a_line_in_the_table_or_a_trusted_path_is_enough(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "mine", "geoseg.models.linear:linear")
    assert build(Architecture(name="mine"), bands=2, classes=4).weight.shape == (4, 2, 1, 1)
    monkeypatch.setenv(architectures.TRUSTED, "geoseg")
    path = Architecture(name="geoseg.models.linear:linear")
    assert build(path, bands=2, classes=4).weight.shape == (4, 2, 1, 1)
