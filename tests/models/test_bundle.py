from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from geoseg.errors import GeosegError, InputError, OutputConflictError, UsageError
from geoseg.models import bundle as bundles
from geoseg.models.architectures import Architecture
from geoseg.models.bundle import list_bundles, load_bundle
from geoseg.models.network import load_network

from . import bundles as made


def rewrite(folder: Path, change) -> None:
    file = folder / "bundle.json"
    raw = json.loads(file.read_text())
    change(raw)
    file.write_text(json.dumps(raw))


def replace_weights(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    import hashlib

    save_file(weights, folder / "model.safetensors")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    rewrite(folder, lambda raw: raw["weights"].update(sha256=digest))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "PRETRAINED", tmp_path / "pretrained")
    saved = made.bundle(tmp_path)
    (tmp_path / "pretrained").mkdir()
    saved.path.rename(tmp_path / "pretrained" / "forest-s2-rgb")
    return tmp_path / "pretrained" / "forest-s2-rgb"


def test_a_bundle_reads_back_as_it_was_saved(tmp_path):
    saved = made.bundle(
        tmp_path,
        margin=64,
        temperature=1.5,
        description="what it is",
        provenance={"data": "mine"},
        scores={"mean_iou": 0.5},
        card="# made",
        files={"held-out.png": b"pixels"},
    )
    loaded = load_bundle(tmp_path / "made")
    assert loaded == saved
    assert loaded.contract == made.contract()
    assert loaded.legend == made.LEGEND
    assert (loaded.margin, loaded.temperature, loaded.description) == (64, 1.5, "what it is")
    assert loaded.provenance["data"] == "mine"
    assert sorted(p.name for p in loaded.path.iterdir()) == [
        "README.md", "bundle.json", "held-out.png", "model.safetensors",
    ]  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["made"]


def test_weights_come_back_as_float32_whether_halved_or_not(tmp_path):
    net = made.network(Architecture(name="linear"))
    for half, tolerance in ((False, 0.0), (True, 1e-3)):
        saved = made.bundle(tmp_path / f"half-{half}", network=net, half=half)
        stored = load_file(saved.weights)
        assert all(t.dtype == (torch.float16 if half else torch.float32) for t in stored.values())
        loaded = load_network(saved)
        assert not loaded.training
        before = net.state_dict()
        for key, value in loaded.state_dict().items():
            assert value.dtype == torch.float32
            assert torch.allclose(value, before[key], atol=tolerance, rtol=tolerance)


def test_the_digest_tells_models_apart_and_not_folders(tmp_path):
    first = made.bundle(tmp_path / "a")
    assert made.bundle(tmp_path / "b").digest == first.digest
    assert made.bundle(tmp_path / "c", temperature=2.0).digest != first.digest
    other = made.network(Architecture(name="linear"), seed=1)
    assert made.bundle(tmp_path / "d", network=other).digest != first.digest


def test_a_bundle_travels_as_its_path(tmp_path):
    saved = made.bundle(tmp_path)
    sent = pickle.dumps(saved)
    assert len(sent) < 500
    assert pickle.loads(sent) == saved


def test_names_are_found_listed_and_suggested(shipped):
    assert list_bundles() == ("forest-s2-rgb",)
    assert load_bundle("forest-s2-rgb").path == shipped
    with pytest.raises(InputError, match=r"there are forest-s2-rgb.*Try: `model=forest-s2-rgb`"):
        load_bundle("forest-s2-rgv")


@pytest.mark.parametrize("name", ["model.pt", "best.PTH", "last.ckpt", "export.pt2", "weights.pkl"])
def test_files_that_can_run_code_are_refused_before_they_are_opened(tmp_path, name):
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return Path.touch, (marker,)

    (tmp_path / name).write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(InputError, match="can run code"):
        load_bundle(tmp_path / name)
    assert not marker.exists()


def test_a_pickle_named_safetensors_is_not_loaded(tmp_path):
    saved = made.bundle(tmp_path)
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return Path.touch, (marker,)

    saved.weights.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(InputError, match="SHA-256 found"):
        load_bundle(saved.path)
    with pytest.raises(InputError, match="not a safetensors file"):
        load_network(load_bundle(saved.path, verify=False))
    assert not marker.exists()


def test_a_bundle_cannot_name_code_of_packages_that_are_not_trusted(tmp_path, monkeypatch):
    saved = made.bundle(tmp_path)
    rewrite(saved.path, lambda raw: raw.update(architecture={"name": "pathlib:Path.touch"}))
    loaded = load_bundle(saved.path)
    with pytest.raises(InputError, match=r"'pathlib'.*not trusted"):
        load_network(loaded)
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "other, pathlib")
    with pytest.raises(UsageError, match="cannot be imported"):
        load_network(loaded)


def test_nothing_there_and_things_that_are_no_bundle(tmp_path):
    with pytest.raises(InputError, match="not found"):
        load_bundle(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="a model is a directory"):
        load_bundle(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"bundle\.json is missing"):
        load_bundle(tmp_path / "empty")


def test_missing_fields_are_listed(tmp_path):
    saved = made.bundle(tmp_path)
    rewrite(saved.path, lambda raw: (raw.pop("licence"), raw.pop("legend")))
    with pytest.raises(InputError, match="missing are legend, licence"):
        load_bundle(saved.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(format_version=99), "found 99, expected 1"),
        (lambda raw: raw.update(temperature=0), "temperature"),
        (lambda raw: raw.update(temperature="warm"), "wrong form"),
        (lambda raw: raw.update(margin=7), "expected a multiple of 32"),
        (lambda raw: raw.update(legend=[{"id": 255, "name": "x", "color": "#000000"}]), "class id"),
        (lambda raw: raw["input"].pop("mean"), "missing is 'mean'"),
        (lambda raw: raw["input"].update(mean=[1]), "found 1 values for 3 bands"),
        (lambda raw: raw.update(input=3), "wrong form"),
        (lambda raw: raw.update(provenance=3), "wrong form"),
        (lambda raw: raw.update(architecture=["unet"]), "wrong form"),
    ],
)
def test_wrong_fields_name_the_file_and_what_is_wrong(tmp_path, change, message):
    saved = made.bundle(tmp_path)
    rewrite(saved.path, change)
    with pytest.raises(InputError, match=message) as caught:
        load_bundle(saved.path)
    assert caught.value.where == saved.path / "bundle.json" or caught.value.where == saved.path


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}' * 3])
def test_broken_descriptions_are_errors_not_tracebacks(tmp_path, text):
    saved = made.bundle(tmp_path)
    (saved.path / "bundle.json").write_bytes(text)
    with pytest.raises(GeosegError):
        load_bundle(saved.path)


def test_changed_weights_show_found_and_expected(tmp_path):
    saved = made.bundle(tmp_path)
    content = bytearray(saved.weights.read_bytes())
    content[-1] ^= 1
    saved.weights.write_bytes(content)
    with pytest.raises(InputError, match=f"SHA-256 found [0-9a-f]{{64}}, expected {saved.weights_sha256}"):
        load_bundle(saved.path)


def test_weights_that_do_not_fit_name_the_first_keys(tmp_path):
    saved = made.bundle(tmp_path)
    replace_weights(saved.path, {f"layer{i}": torch.zeros(1) for i in range(8)})
    with pytest.raises(InputError, match=r"2 missing: bias, weight; 8 unexpected: layer0, .*layer4 \.\.\."):
        load_network(load_bundle(saved.path))


def test_weights_for_other_classes_show_both_shapes(tmp_path):
    saved = made.bundle(tmp_path)
    replace_weights(saved.path, {"weight": torch.zeros(4, 3, 1, 1), "bias": torch.zeros(4)})
    with pytest.raises(InputError, match=r"found \(4,\), expected \(3,\)"):
        load_network(load_bundle(saved.path))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(tmp_path, value):
    weights = {"weight": torch.zeros(3, 3, 1, 1), "bias": torch.tensor([0.0, value, 0.0])}
    saved = made.bundle(tmp_path)
    replace_weights(saved.path, weights)
    with pytest.raises(InputError, match="weight 'bias' is not finite"):
        load_network(load_bundle(saved.path))
    broken = made.network(Architecture(name="linear"))
    broken.load_state_dict(weights)
    with pytest.raises(InputError, match="weight 'bias' is not finite"):
        made.bundle(tmp_path / "again", network=broken)
    assert not (tmp_path / "again" / "made").exists()


def test_half_precision_refuses_what_it_cannot_hold(tmp_path):
    large = made.network(Architecture(name="linear"))
    large.load_state_dict({"weight": torch.full((3, 3, 1, 1), 1e6), "bias": torch.zeros(3)})
    with pytest.raises(InputError, match="too large for float16"):
        made.bundle(tmp_path, network=large, half=True)
    assert list(tmp_path.iterdir()) == []


def test_saving_over_something_needs_to_be_said(tmp_path):
    first = made.bundle(tmp_path)
    with pytest.raises(OutputConflictError):
        made.bundle(tmp_path, version="2")
    assert load_bundle(first.path) == first
    assert made.bundle(tmp_path, version="2", overwrite=True).version == "2"
    (tmp_path / "notes" / "made").mkdir(parents=True)
    (tmp_path / "notes" / "made" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputConflictError):
        made.bundle(tmp_path / "notes", overwrite=True)
    assert (tmp_path / "notes" / "made" / "thesis.txt").read_text() == "mine"


def test_describing_models_loads_no_torch():
    code = (
        "import sys\n"
        "from geoseg.models.bundle import list_bundles, load_bundle\n"
        "[load_bundle(name) for name in list_bundles()]\n"
        "import geoseg.cli.model, geoseg.engines.engine\n"
        "print([m for m in ('torch', 'timm', 'pydantic', 'dask') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", list_bundles())
def test_every_shipped_bundle_is_whole(name):
    shipped = load_bundle(name)
    assert shipped.name == name
    assert shipped.weights_bytes < 20e6
    assert (shipped.path / "README.md").is_file()
    assert {"data", "credit", "command"} <= shipped.provenance.keys()
    assert set(shipped.scores["classes"]) == set(shipped.legend.names)
    load_network(shipped)
