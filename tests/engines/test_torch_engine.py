from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.engines.choice import EngineChoice
from geoseg.engines.opening import open_engine
from geoseg.engines.torch_engine import choose_device, choose_precision
from geoseg.errors import InputError, ResourceError, UsageError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.models.bundle import load_bundle
from geoseg.models.network import load_network

from ..models import bundles as made

UNET = Architecture(name="unet", encoder="mobilenet_v2", arguments={"decoder_channels": [32, 16, 16, 8, 8]})


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    return made.bundle(tmp_path_factory.mktemp("unet"), UNET, temperature=1.7)


@pytest.fixture(scope="module")
def exact(unet):
    return open_engine(unet, EngineChoice(device="cpu", precision="fp32", threads=1))


def tiles(count: int, *, bands: int = 3, side: int = 96, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, bands, side, side)).astype(dtype)


def expected_probabilities(bundle, raw: np.ndarray) -> np.ndarray:
    """Normalisation and softmax written out in float64 numpy around a plain float32 forward."""
    contract = bundle.contract
    mean, std = (np.reshape(v, (1, -1, 1, 1)) for v in (contract.mean, contract.std))
    x = (raw.astype(np.float64) * contract.scale + contract.offset - mean) / std
    with torch.inference_mode():
        logits = load_network(bundle)(torch.from_numpy(x.astype(np.float32))).double().numpy()
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / bundle.temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def test_probabilities_are_softmax_of_the_normalised_forward(unet, exact):
    raw = tiles(2)
    found = exact.probabilities(raw)
    assert found.dtype == np.uint16
    assert np.abs(found / 65535 - expected_probabilities(unet, raw)).max() < 2e-4


def test_labels_are_legend_ids_of_the_likeliest_class_with_its_percent(unet, exact):
    raw = tiles(2)
    labels, confidence = exact.classify(raw)
    expected = expected_probabilities(unet, raw)
    clear = np.diff(np.sort(expected, axis=1)[:, -2:], axis=1)[:, 0] > 1e-3
    ids = np.array(unet.legend.ids, np.uint8)[expected.argmax(axis=1)]
    assert labels.dtype == confidence.dtype == np.uint8
    assert len(np.unique(labels)) == 3
    assert np.array_equal(labels[clear], ids[clear])
    assert np.abs(confidence - 100 * expected.max(axis=1)).max() <= 0.55


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_tile_is_bitwise_the_same_anywhere_in_any_batch(unet, precision):
    raw = tiles(5)
    engine = open_engine(unet, EngineChoice(device="cpu", precision=precision, threads=1))
    alone = np.concatenate([engine.probabilities(raw[i : i + 1]) for i in range(5)])
    assert np.array_equal(engine.probabilities(raw), alone)
    assert np.array_equal(engine.probabilities(raw[::-1]), alone[::-1])
    padded = np.concatenate([raw[:2], np.zeros_like(raw[:2])])
    assert np.array_equal(engine.probabilities(padded)[:2], alone[:2])
    labels, _ = engine.classify(raw[1:4])
    again, _ = open_engine(unet, EngineChoice(device="cpu", precision=precision, threads=1)).classify(
        raw[3:4]
    )
    assert np.array_equal(labels[2:], again)


def test_threads_hold_in_whatever_thread_calls(unet):
    raw = tiles(1)
    engine = open_engine(unet, EngineChoice(device="cpu", precision="fp32", threads=1))
    torch.set_num_threads(2)
    here = engine.probabilities(raw)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(2)
    there: list[object] = []

    def work() -> None:
        there.append(engine.probabilities(raw))
        there.append(torch.get_num_threads())

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert np.array_equal(there[0], here)
    assert there[1] == 1 == engine.identity["threads"]


def test_bf16_agrees_with_fp32_on_clear_pixels(unet):
    raw = tiles(2)
    exact = expected_probabilities(unet, raw)
    rough = (
        open_engine(unet, EngineChoice(device="cpu", precision="bf16", threads=1)).probabilities(raw) / 65535
    )
    assert np.abs(rough - exact).max() < 0.1
    assert (rough.argmax(axis=1) == exact.argmax(axis=1)).mean() > 0.98


@settings(max_examples=20)
@given(
    dtype=st.sampled_from(
        ["uint8", "int8", "uint16", "int16", ">u2", "int32", "uint32", "float32", "float64"]
    )
)
def test_every_data_type_gives_the_answer_of_its_values(tmp_path_factory, dtype):
    bundle = _SAVED.setdefault("linear", made.bundle(tmp_path_factory.mktemp("linear")))
    engine = open_engine(bundle, EngineChoice(device="cpu", precision="fp32", threads=1))
    raw = tiles(1, side=32) // 2
    assert np.array_equal(engine.probabilities(raw.astype(dtype)), engine.probabilities(raw))


_SAVED: dict[str, object] = {}


def test_invalid_pixels_are_filled_and_marked(tmp_path):
    bundle = made.bundle(tmp_path, UNET, contract=made.contract(dtype="float32"))
    engine = open_engine(bundle, EngineChoice(device="cpu", precision="fp32", threads=1))
    raw = tiles(1, dtype="float32")
    valid = np.ones((1, 96, 96), bool)
    valid[:, :20, 30:] = False
    holes = np.where(valid[:, None], raw, np.float32("nan"))
    filled = np.where(valid[:, None], raw, np.reshape(bundle.contract.fill, (1, 3, 1, 1))).astype(np.float32)
    labels, confidence = engine.classify(holes, valid)
    plain, plain_confidence = engine.classify(filled)
    assert (labels[~valid] == 255).all()
    assert (confidence[~valid] == 255).all()
    assert np.array_equal(labels[valid], plain[valid])
    assert np.array_equal(confidence[valid], plain_confidence[valid])
    assert np.array_equal(engine.probabilities(holes, valid), engine.probabilities(filled))


def test_arrays_of_the_caller_are_left_as_they_are(exact):
    raw = tiles(1, dtype="float32")
    before = raw.copy()
    raw.flags.writeable = False
    exact.classify(raw, np.zeros((1, 96, 96), bool))
    assert np.array_equal(raw, before)
    crossed = np.moveaxis(np.ascontiguousarray(np.moveaxis(raw, 1, -1)), -1, 1)
    assert np.array_equal(exact.probabilities(crossed), exact.probabilities(raw))


def test_many_classes_and_bands(tmp_path):
    legend = Legend.of({i: f"class {i}" for i in range(0, 120, 5)})
    bundle = made.bundle(tmp_path, contract=made.contract(12), legend=legend)
    engine = open_engine(bundle, EngineChoice(device="cpu", precision="fp32", threads=1))
    raw = tiles(2, bands=12, side=64)
    labels, _ = engine.classify(raw)
    probabilities = engine.probabilities(raw)
    assert probabilities.shape == (2, 24, 64, 64)
    assert np.isin(labels, legend.ids).all()
    assert np.abs(probabilities.sum(axis=1, dtype=np.int64) - 65535).max() <= 12


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 4, 64, 64), (1, 3, 60, 64), (1, 3, 64, 33)])
def test_tiles_of_a_wrong_shape_are_refused_with_the_right_one(exact, shape):
    with pytest.raises(UsageError, match=r"expected \(tiles, 3, T, T\) with T a multiple of 32"):
        exact.classify(np.zeros(shape, np.uint8))


def test_identity_says_what_decides_the_bits(unet, exact):
    identity = exact.identity
    assert identity["bundle"] == unet.digest
    assert identity["torch"] == torch.__version__
    assert (identity["precision"], identity["threads"]) == ("fp32", 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_said_clearly(unet):
    for name in ("cuda", "cuda:3"):
        with pytest.raises(ResourceError, match=r"is not there.*finds no CUDA device.*`device=cpu`"):
            open_engine(unet, EngineChoice(device=name))
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "mps", "", "meta", "fake"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(UsageError, match="unknown device"):
        choose_device(name)


def test_unknown_requests_are_refused(unet):
    with pytest.raises(UsageError, match="engine torch does not compute in 'int8'"):
        open_engine(unet, EngineChoice(name="torch", precision="int8"))
    with pytest.raises(UsageError, match="fp16 is for GPUs"):
        choose_precision("fp16", torch.device("cpu"))
    with pytest.raises(UsageError, match="unknown engine 'tf'"):
        open_engine(unet, EngineChoice(name="tf"))
    with pytest.raises(UsageError, match="threads"):
        open_engine(unet, EngineChoice(threads=0))
    with pytest.raises(UsageError, match="engine onnx is for CPUs"):
        open_engine(unet, EngineChoice(name="onnx", device="cuda"))


def test_no_memory_is_a_resource_error(unet, monkeypatch):
    engine = open_engine(unet, EngineChoice(device="cpu", threads=1))

    def exhausted(*_: object) -> None:
        torch.empty(2**62, dtype=torch.uint8)  # torch's own refusal, as a tile too large would raise it

    monkeypatch.setattr(engine._network, "_network", exhausted)
    with pytest.raises(ResourceError, match=r"out of memory for 1 tiles of 96 x 96.*smaller `batch`"):
        engine.classify(tiles(1))


def test_broken_weights_do_not_open(unet, tmp_path):
    import shutil

    shutil.copytree(unet.path, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a safetensors file"):
        open_engine(load_bundle(tmp_path / "cut", verify=False), EngineChoice(device="cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_agrees_with_the_cpu(unet):
    raw = tiles(4)
    here = (
        open_engine(unet, EngineChoice(device="cpu", precision="fp32", threads=1))
        .probabilities(raw)
        .astype(int)
    )
    for precision, tolerance in (("fp32", 0.01), ("bf16", 0.1), ("fp16", 0.05)):
        engine = open_engine(unet, EngineChoice(device="cuda", precision=precision))
        found = engine.probabilities(raw).astype(int)
        assert np.abs(found - here).max() < tolerance * 65535
        assert np.array_equal(engine.probabilities(raw), found)
