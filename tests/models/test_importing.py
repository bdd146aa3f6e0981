"""Checkpoints of other programs: what is taken from them, and what they cannot do."""

from __future__ import annotations

import argparse
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

from geoseg.cli.model import command
from geoseg.errors import GeosegError, InputError, OutputConflictError, ResourceError, UsageError
from geoseg.models import importing
from geoseg.models.architectures import Architecture
from geoseg.models.bundle import load_bundle
from geoseg.models.description import ModelDescription
from geoseg.models.importing import import_checkpoint, read_checkpoint
from geoseg.models.network import load_network

from . import bundles as made

ARCHITECTURE = Architecture(name="fpn", encoder="mobilenet_v2")


@pytest.fixture(scope="module")
def theirs():
    """A network built by segmentation-models-pytorch itself, as its users build one."""
    torch.manual_seed(0)
    return smp.FPN("mobilenet_v2", encoder_weights=None, in_channels=4, classes=3).eval()


def lightning(weights):
    return {
        "epoch": 3,
        "state_dict": {f"model.{k}": v for k, v in weights.items()} | {"criterion.weight": torch.ones(3)},
        "hyper_parameters": {"backbone": "mobilenet_v2", "lr": 1e-3, "class_weights": None},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}],
    }


FORMS = {
    "plain": (lambda weights: weights, "", 0),
    "nested": (lambda weights: {"model": weights, "epoch": 3}, "", 0),
    "lightning": (lightning, "model.", 1),
    "parallel": (
        lambda weights: {"state_dict": {f"module.{k}": v for k, v in weights.items()}},
        "module.",
        0,
    ),
    "compiled": (
        lambda weights: {"state_dict": {f"model._orig_mod.{k}": v for k, v in weights.items()}},
        "model._orig_mod.",
        0,
    ),
    "command line": (
        lambda weights: {"state_dict": weights, "args": argparse.Namespace(lr=0.1, model="fpn")},
        "",
        0,
    ),
    "two networks": (
        lambda weights: {
            "state_dict": {f"student.{k}": v for k, v in weights.items()}
            | {f"frozen_teacher.{k}": v + 1 for k, v in weights.items()}
        },
        "student.",
        None,
    ),
    "no counters": (lambda weights: {k: v for k, v in weights.items() if "num_batches" not in k}, "", 0),
    "half": (
        lambda weights: {k: v.half() if v.is_floating_point() else v for k, v in weights.items()},
        "",
        0,
    ),
}


def run_import(checkpoint, out, **changes):
    fields = {"architecture": ARCHITECTURE, "contract": made.contract(4), "legend": made.LEGEND} | changes
    model = ModelDescription(name="ours", version="1.0", licence="not said", **fields)
    return import_checkpoint(checkpoint, out, model)


@pytest.mark.parametrize("form", FORMS)
def test_the_bundle_answers_as_the_network_that_was_saved(form, theirs, tmp_path):
    wrap, prefix, others = FORMS[form]
    weights = theirs.state_dict()
    torch.save(wrap(weights), tmp_path / "their.ckpt")
    done = run_import(tmp_path / "their.ckpt", tmp_path / "ours")
    assert done.prefix == prefix
    assert len(done.left_out) == (len(weights) if others is None else others)
    x = torch.randn(1, 4, 64, 64)
    with torch.inference_mode():
        expected, found = theirs(x), load_network(load_bundle(tmp_path / "ours"))(x)
    assert torch.allclose(found, expected, atol=0.02 if form == "half" else 0)
    assert done.bundle.provenance["imported"]["file"] == "their.ckpt"


class SplitFirstLayer(torch.nn.Sequential):
    """A first layer for three bands and one for the others, added up, with the names of Raster Vision."""

    def __init__(self, first, bands):
        other = torch.nn.Conv2d(
            bands - 3, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False
        )
        super().__init__(torch.nn.Identity(), torch.nn.ModuleList([first, other]), torch.nn.Identity())

    def forward(self, x):
        return self[1][0](x[:, :3]) + self[1][1](x[:, 3:])


def test_the_default_network_of_raster_vision_answers_alike(tmp_path):
    torch.manual_seed(0)
    theirs = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3, aux_loss=False)
    theirs.backbone["0"][0] = SplitFirstLayer(theirs.backbone["0"][0], 5)
    theirs.eval()
    torch.save(theirs.state_dict(), tmp_path / "last-model.pth")
    architecture = Architecture(name="deeplabv3_torchvision", encoder="mobilenet_v3_large")
    done = run_import(
        tmp_path / "last-model.pth", tmp_path / "ours", architecture=architecture, contract=made.contract(5)
    )
    x = torch.randn(1, 5, 64, 96)
    with torch.inference_mode():
        expected, found = theirs(x)["out"], load_network(done.bundle)(x)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_safetensors_are_taken_too(theirs, tmp_path):
    save_file(theirs.state_dict(), tmp_path / "their.safetensors")
    assert run_import(tmp_path / "their.safetensors", tmp_path / "ours").left_out == ()


def test_weights_that_do_not_fit_are_named_and_nothing_is_written(theirs, tmp_path):
    weights = {k: v for k, v in theirs.state_dict().items() if not k.startswith("segmentation_head")}
    torch.save(weights | {"extra.weight": torch.zeros(1)}, tmp_path / "their.pth")
    with pytest.raises(InputError, match=r"2 missing: segmentation_head.*1 unexpected: extra\.weight"):
        run_import(tmp_path / "their.pth", tmp_path / "ours")
    torch.save(theirs.state_dict(), tmp_path / "their.pth")
    with pytest.raises(InputError, match=r"found \(32, 4, 3, 3\), expected \(32, 3, 3, 3\)"):
        run_import(tmp_path / "their.pth", tmp_path / "ours", contract=made.contract(3))
    assert [p.name for p in tmp_path.iterdir()] == ["their.pth"]


def test_a_folder_that_is_there_is_not_replaced(theirs, tmp_path):
    torch.save(theirs.state_dict(), tmp_path / "their.pth")
    (tmp_path / "ours").mkdir()
    with pytest.raises(OutputConflictError, match="exists already"):
        run_import(tmp_path / "their.pth", tmp_path / "ours")


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", ["their.pth", "their.ckpt", "their.safetensors", "their"])
@pytest.mark.parametrize("way", ["pickle", "torch", "legacy", "inside"])
def test_hostile_checkpoints_run_nothing(way, name, tmp_path):
    file, marker = tmp_path / name, tmp_path / "ran"
    hostile = Hostile(marker)
    if way == "pickle":
        file.write_bytes(pickle.dumps(hostile))
    elif way == "legacy":
        torch.save({"state_dict": hostile}, file, _use_new_zipfile_serialization=False)
    else:
        torch.save(
            {"state_dict": {"a.b": torch.zeros(1), "c.d": hostile}} if way == "inside" else hostile, file
        )
    with pytest.raises(InputError) as caught:
        read_checkpoint(file)
    assert caught.value.where == file
    assert not marker.exists()
    with file.open("rb") as opened, suppress(RuntimeError):  # it would have: the trap is a trap
        torch.load(opened, weights_only=False)
    assert marker.exists()


def test_the_error_names_what_the_checkpoint_wanted(tmp_path):
    torch.save({"state_dict": {}, "cfg": made.LEGEND}, tmp_path / "their.ckpt")
    with pytest.raises(InputError, match=r"it names geoseg\.legend\.Legend.*safetensors"):
        read_checkpoint(tmp_path / "their.ckpt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a checkpoint", bytes(range(256)) * 40])
def test_damaged_files_are_errors(content, tmp_path):
    (tmp_path / "their.pth").write_bytes(content)
    with pytest.raises(InputError):
        read_checkpoint(tmp_path / "their.pth")


@pytest.mark.parametrize("content", [{}, [1, 2], {"state_dict": {"lr": 3}}, {"a": {"b": torch.zeros(1)}}])
def test_checkpoints_without_weights_are_errors(content, tmp_path):
    torch.save(content, tmp_path / "their.pth")
    with pytest.raises(InputError, match="no state dict"):
        read_checkpoint(tmp_path / "their.pth")


@pytest.mark.parametrize(("version", "fine"), [("2.9.1+cpu", False), ("2.10.0", True), ("3.0", True)])
def test_an_old_torch_opens_nothing(version, fine, tmp_path, monkeypatch):
    torch.save({"a.b": torch.zeros(1)}, tmp_path / "their.pth")
    monkeypatch.setattr(importing.torch, "__version__", version)
    if fine:
        assert list(read_checkpoint(tmp_path / "their.pth")) == ["a.b"]
    else:
        with pytest.raises(ResourceError, match=r"found 2\.9\.1\+cpu, expected 2\.10"):
            read_checkpoint(tmp_path / "their.pth")


OPTIONS = (
    "--architecture", "fpn", "--encoder", "mobilenet_v2", "--bands", "blue,green,red,nir",
    "--classes", "forest,pasture,water", "--dtype", "uint16", "--value-range", "0,10000", "--scale", "1e-4",
    "--mean", "0.05,0.07,0.08,0.25", "--std", "0.05", "--pixel-size", "8,12",
)  # fmt: skip


def run(*arguments: str):
    return CliRunner().invoke(command, ["import", *arguments], catch_exceptions=False)


def test_the_command_says_everything_in_options_or_in_a_file(theirs, tmp_path):
    checkpoint, out = str(tmp_path / "best.ckpt"), tmp_path / "by-options"
    torch.save(lightning(theirs.state_dict()), checkpoint)
    done = run(checkpoint, *OPTIONS, "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "warning: a torch checkpoint is a pickle" in done.stderr
    assert "1 left out: criterion.weight" in done.stdout
    (tmp_path / "input.yaml").write_text(
        "bands: [{name: blue}, green, red, nir]\nclasses: {1: forest, 2: pasture, 3: water}\ndtype: uint16\n"
        "value_range: [0, 10000]\nscale: 1.0e-4\nmean: [0.05, 0.07, 0.08, 0.25]\nstd: 0.05\n"
        "pixel_size: [8, 12]\n"
    )
    again = run(
        checkpoint,
        *OPTIONS[:4],
        "--contract",
        str(tmp_path / "input.yaml"),
        "--out",
        str(tmp_path / "by-file"),
    )
    assert again.exit_code == 0, again.output
    first, second = load_bundle(out), load_bundle(tmp_path / "by-file")
    assert (first.contract, first.legend) == (second.contract, second.legend)
    assert first.weights_sha256 == second.weights_sha256
    assert first.contract.std == (0.05,) * 4
    assert first.legend.names == ("forest", "pasture", "water")
    assert "scores are not known" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--mean": None}, "(`mean`|--mean) is missing"),
        ({"--mean": "1,2"}, "found 2 values for 4 bands"),
        ({"--mean": "a"}, "mean"),
        ({"--value-range": None}, "value_range is needed for uint16"),
        ({"--classes": "3=forest,1=water"}, "ascending order"),
        ({"--pixel-size": "12"}, "pixel_size"),
        ({"--arguments": "[1]"}, "not a JSON object"),
        ({"--arguments": "{"}, "not JSON"),
        ({"--architecture": "unett"}, "unknown architecture"),
    ],
)
def test_wrong_options_are_usage_errors(changes, message, theirs, tmp_path):
    torch.save(theirs.state_dict(), tmp_path / "their.pth")
    options = dict(zip(OPTIONS[::2], OPTIONS[1::2], strict=True)) | changes
    words = [word for key, value in options.items() if value is not None for word in (key, value)]
    with pytest.raises(GeosegError, match=message) as caught:
        run(str(tmp_path / "their.pth"), *words, "--out", str(tmp_path / "ours"))
    assert isinstance(caught.value, UsageError)
    assert not (tmp_path / "ours").exists()
