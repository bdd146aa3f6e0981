"""ONNX files against the engine, and against arithmetic by hand."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from geoseg.cli.model import command
from geoseg.engines import onnx_export
from geoseg.engines.choice import EngineChoice
from geoseg.engines.onnx_export import export_onnx
from geoseg.engines.opening import open_engine
from geoseg.errors import OutputConflictError, ResourceError, UsageError

from ..models import bundles as made

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime comes with the extra 'onnx'")


def logits(path, raw):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"pixels": raw.astype(np.float32)})[0]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    contract = made.contract(scale=0.5, offset=3.0)
    bundle = made.bundle(folder, contract=contract, temperature=2.0)
    return bundle, export_onnx(bundle, tile=64)


def test_the_file_lies_in_the_bundle_and_says_what_it_is(exported):
    import onnx

    bundle, done = exported
    assert done.path == bundle.path / "model.onnx"
    assert sorted(p.name for p in bundle.path.iterdir()) == [
        "bundle.json", "model.onnx", "model.onnx.json", "model.safetensors",
    ]  # fmt: skip
    model = onnx.load(done.path)
    onnx.checker.check_model(model, full_check=True)
    assert {o.version for o in model.opset_import if o.domain == ""} == {onnx_export.OPSET}
    told = {p.key: p.value for p in model.metadata_props}
    assert told["bundle"] == bundle.digest
    assert json.loads(told["legend"]) == bundle.legend.to_json()
    described = json.loads((bundle.path / "model.onnx.json").read_text())
    assert described["check"]["label_agreement"] == done.agreement > 0.999
    assert described["check"]["max_abs_logit_difference"] == done.difference < 1e-4
    assert described["input"]["pixels"] == ["N", 3, 64, 64]


@pytest.mark.parametrize("tiles", [1, 2, 5])
def test_raw_values_in_logits_at_their_temperature_out(exported, tiles):
    from safetensors.numpy import load_file

    bundle, done = exported
    raw = np.random.default_rng(0).integers(0, 256, (tiles, 3, 64, 64))
    weights, contract = load_file(bundle.weights), bundle.contract
    mean, std = (np.reshape(v, (3, 1, 1)) for v in (contract.mean, contract.std))
    x = (raw * 0.5 + 3.0 - mean) / std
    kernel = weights["weight"][:, :, 0, 0].astype(float)
    expected = (np.einsum("kc,nchw->nkhw", kernel, x) + weights["bias"].reshape(-1, 1, 1)) / 2.0
    np.testing.assert_allclose(logits(done.path, raw), expected, atol=1e-4)


def test_argmax_and_softmax_are_the_engines_labels_and_confidence(exported, tmp_path):
    bundle = exported[0]
    done = export_onnx(bundle, tmp_path / "other.onnx", tile=64)
    assert done.path == tmp_path / "other.onnx"
    raw = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64)).astype(np.uint8)
    labels, confidence = open_engine(
        bundle, EngineChoice(device="cpu", precision="fp32", threads=1)
    ).classify(raw)
    probability = torch.softmax(torch.from_numpy(logits(done.path, raw)), dim=1).numpy()
    found = np.asarray(bundle.legend.ids)[probability.argmax(1)]
    assert np.mean(found == labels) > 0.999
    assert np.abs(probability.max(1) * 100 - confidence).max() < 0.6
    assert len(set(labels.ravel())) > 1


def test_names_sizes_and_files_that_are_there_are_refused(exported, tmp_path):
    bundle = exported[0]
    with pytest.raises(OutputConflictError, match=r"exists.*`overwrite`"):
        export_onnx(bundle, tile=64)
    with pytest.raises(UsageError, match="found 50, expected a multiple of 32"):
        export_onnx(bundle, tmp_path / "a.onnx", tile=50)
    with pytest.raises(UsageError, match="not a name"):
        export_onnx(bundle, tmp_path, tile=64)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputConflictError, match="cannot be written"):
        export_onnx(bundle, tmp_path / "file" / "a.onnx", tile=64)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_missing_packages_are_named_with_the_extra(exported, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None if "onnx" in name[:4] else find(name))
    with pytest.raises(ResourceError, match=r"missing: onnx, onnxruntime, onnxscript.*geoseg\[onnx\]"):
        export_onnx(exported[0], tmp_path / "a.onnx")


class Unsteady(nn.Module):
    """Other answers while it is exported than afterwards."""

    def forward(self, x):
        return x if torch.compiler.is_exporting() else x.flip(1)


def test_a_file_with_other_answers_is_not_kept(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "load_network", lambda _bundle: Unsteady())
    with pytest.raises(ResourceError, match="gives other answers"):
        export_onnx(exported[0], tmp_path / "a.onnx", tile=64)
    assert list(tmp_path.iterdir()) == []


class Untraceable(nn.Module):
    def forward(self, x):
        return x if float(x.sum()) > 0 else -x


def test_a_network_that_onnx_cannot_express_is_an_error(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "load_network", lambda _bundle: Untraceable())
    with pytest.raises(ResourceError, match="architecture 'linear' cannot be written as ONNX"):
        export_onnx(exported[0], tmp_path / "a.onnx", tile=64)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_how_near_it_comes(exported, tmp_path):
    arguments = ["export", str(exported[0].path), "--onnx", "--tile", "32", "--out", str(tmp_path / "m.onnx")]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "100.0000% of the labels agree" in done.output
    assert "opset 18" in done.output
