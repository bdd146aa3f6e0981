"""Encoders that start from weights in a file, compared with timm's own loading of the same file."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from geoseg.errors import InputError, ResourceError, UsageError
from geoseg.models.architectures import Architecture, build
from geoseg.models.encoder_weights import download_encoder, load_encoder

TINY = "mobilenetv3_small_050"


@pytest.fixture(scope="module")
def donor():
    torch.manual_seed(0)
    return timm.create_model(TINY, pretrained=False)


def by_timm(file, bands):
    """Features of the same file, loaded by timm."""
    return timm.create_model(
        TINY, pretrained=True, pretrained_cfg_overlay={"file": str(file)}, in_chans=bands, features_only=True
    ).eval()


@pytest.mark.parametrize("bands", [1, 3, 4, 12])
@pytest.mark.parametrize("form", ["safetensors", "checkpoint"])
def test_features_are_those_that_timm_gives(bands, form, donor, tmp_path):
    file = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(donor.state_dict(), file)
    else:
        torch.save(
            {"state_dict": {f"module.{k}": v for k, v in donor.state_dict().items()}, "epoch": 9}, file
        )
    torch.manual_seed(1)
    network = build(Architecture(name="unet", encoder=TINY), bands=bands, classes=2)
    done = load_encoder(network, file)
    assert (done.adapted is None) == (bands == 3)
    assert any(name.endswith("classifier.weight") for name in done.left_out)
    save_file(donor.state_dict(), tmp_path / "plain.safetensors")
    theirs = by_timm(tmp_path / "plain.safetensors", bands)
    x = torch.randn(1, bands, 64, 64)
    with torch.inference_mode():
        for found, expected in zip(network.encoder.eval()(x)[1:], theirs(x), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("architecture", "donor_name"),
    [
        (Architecture(name="fcn8s", encoder="resnet18"), "resnet18"),
        (Architecture(name="fpn", encoder="tu-convnext_atto"), "convnext_atto"),
        (Architecture(name="hrnetv2", encoder="hrnet_w18_small"), "hrnet_w18_small"),
    ],
    ids=lambda value: getattr(value, "encoder", ""),
)
def test_every_way_of_naming_layers_is_understood(architecture, donor_name, tmp_path):
    torch.manual_seed(0)
    weights = timm.create_model(donor_name, pretrained=False).state_dict()
    save_file(weights, tmp_path / "w.safetensors")
    network = build(architecture, bands=3, classes=2)
    done = load_encoder(network, tmp_path / "w.safetensors")
    assert done.tensors == len(network.encoder.state_dict())
    assert done.tensors + len(done.left_out) == len(weights)
    kernel = next(iter(network.encoder.parameters()))
    assert torch.equal(kernel, next(iter(weights.values())))


def test_the_encoder_of_a_trained_segmentation_network_is_taken(tmp_path):
    torch.manual_seed(0)
    trained = build(Architecture(name="fpn", encoder=TINY), bands=5, classes=7)
    torch.save(
        {"state_dict": {f"model.{k}": v for k, v in trained.state_dict().items()}}, tmp_path / "w.ckpt"
    )
    network = build(Architecture(name="unet", encoder=TINY), bands=5, classes=2)
    load_encoder(network, tmp_path / "w.ckpt")
    own = trained.encoder.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in network.encoder.state_dict().items())


def test_another_encoder_is_refused_and_the_network_stays_as_it_was(donor, tmp_path):
    save_file(donor.state_dict(), tmp_path / "w.safetensors")
    network = build(Architecture(name="unet", encoder="resnet18"), bands=3, classes=2)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(InputError, match=r"missing: .*layer1"):
        load_encoder(network, tmp_path / "w.safetensors")
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_bands_that_cannot_be_guessed_are_refused(tmp_path):
    save_file(timm.create_model(TINY, pretrained=False, in_chans=13).state_dict(), tmp_path / "w.safetensors")
    network = build(Architecture(name="unet", encoder=TINY), bands=4, classes=2)
    with pytest.raises(InputError, match="found 13, the network takes 4"):
        load_encoder(network, tmp_path / "w.safetensors")


def test_an_architecture_without_an_encoder_says_so(tmp_path):
    with pytest.raises(UsageError, match="need an encoder"):
        load_encoder(nn.Conv2d(3, 2, 1), tmp_path / "w.safetensors")


@pytest.mark.parametrize(("encoder", "library"), [("resnet18", "smp"), (TINY, "timm")])
def test_published_weights_are_asked_for_and_taken(encoder, library, monkeypatch):
    """What the library gives for its pretrained encoder is what the network gets (no hub is asked here)."""
    torch.manual_seed(3)
    published = timm.create_model(encoder, pretrained=False)
    asked = []

    def give(name, **how):
        asked.append((name, how))
        return published

    network = build(Architecture(name="unet", encoder=encoder), bands=3, classes=2)
    monkeypatch.setattr(
        "timm.create_model" if library == "timm" else "segmentation_models_pytorch.encoders.get_encoder", give
    )
    download_encoder(network, encoder)
    assert asked == [(encoder, {"pretrained": True} if library == "timm" else {"weights": "imagenet"})]
    kernel = next(iter(network.encoder.parameters()))
    assert torch.equal(kernel, next(iter(published.parameters())))


@pytest.mark.parametrize("encoder", ["mobilenetv3_small_005", "hrnet_w18_ssld.nobody", "resnet18_nobody"])
def test_encoders_without_published_weights_are_refused(encoder):
    network = build(Architecture(name="unet", encoder=TINY), bands=3, classes=2)
    with pytest.raises((UsageError, ResourceError), match=r"weights"):
        download_encoder(network, encoder)
