"""Networks in int8: what they are calibrated on, how near they come, and when they are refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from geoseg.engines import int8, network_file, probing, quantised_file
from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.int8 import restore_int8, settle_int8, tiles_wanted
from geoseg.engines.opening import find_engine, open_engine, open_segment_engine
from geoseg.engines.quantised_file import calibration_of, write_quantised
from geoseg.errors import ResourceError, UsageError
from geoseg.models.architectures import Architecture

from ..models import bundles as made
from ..models.stacks import NAME

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
SIDE = 64
ASKED = EngineChoice(name="onnx", device="cpu", precision="int8", threads=1)


@pytest.fixture(scope="module", autouse=True)
def trusted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOSEG_ARCHITECTURES", "tests")
        yield


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, trusted):
    return made.bundle(tmp_path_factory.mktemp("stack"), Architecture(name=NAME), size_multiple=2)


@pytest.fixture(scope="module")
def ensemble(bundle):
    return Ensemble(bundles=(bundle,))


def tiles(count=6, seed=0, high=256):
    raw = np.random.default_rng(seed).integers(0, high, (count, 3, SIDE, SIDE)).astype(np.uint8)
    valid = np.ones((count, SIDE, SIDE), bool)
    valid[:, :5] = False
    return raw, valid


def write(bundle, given):
    return write_quantised(bundle, given, calibration_of(given))


def settle(ensemble, given, asked=ASKED):
    return settle_int8(asked, ensemble, (SIDE, SIDE), lambda: given)


def test_every_other_tile_is_for_calibration_and_the_rest_tells_the_agreement(ensemble):
    raw, valid = given = tiles()
    decision = settle(ensemble, given)
    assert decision.choice == replace(ASKED, calibration=calibration_of((raw[::2], valid[::2])))
    assert decision.reason == "asked for"
    exact, quick = (ensemble.open(c).classify(raw[1::2], valid[1::2])[0] for c in (
        replace(ASKED, precision="fp32"), decision.choice
    ))  # fmt: skip
    share = (exact == quick)[valid[1::2]].mean()
    assert 0.95 < share < 1
    assert decision.trials[0].agreement == share
    facts = decision.quantised
    assert (facts.calibrated, facts.compared, facts.others) == (3, 3, True)
    assert facts.bytes < facts.exact_bytes * 2
    assert facts.cpu_ms >= 0
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision
    assert f"{share:.2%} of the labels as in fp32, on 3 tiles that it was not calibrated on; " in str(
        decision
    )


def test_inner_layers_have_seven_bits_for_each_channel_and_the_outer_ones_none(bundle):
    model = onnx.load(write(bundle, tiles()))
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == 5
    weights = [onnx.numpy_helper.to_array(i) for i in model.graph.initializer]
    whole = [w for w in weights if w.dtype == np.int8 and w.ndim == 4]
    assert len(whole) == 3
    assert all(np.abs(w.astype(int)).max() <= 64 for w in whole)
    assert sum(w.dtype == np.float32 and w.ndim == 4 for w in weights) == 2
    assert any(w.dtype == np.float32 and w.ndim == 1 and len(w) == 24 for w in weights)  # scales of channels


def test_the_same_tiles_give_the_same_file_bit_for_bit(bundle):
    path = write(bundle, tiles())
    first = path.read_bytes()
    path.unlink()
    assert write(bundle, tiles()) == path
    assert path.read_bytes() == first
    assert write(bundle, tiles(seed=1)) != path


def test_equal_to_what_quantize_static_makes_with_threads_of_its_own(bundle, tmp_path, monkeypatch):
    """The oracle keeps every activation to the end and takes all cores."""
    import onnxruntime
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    asked_for = []
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *a, **k: asked_for.append(a[1]) or session(*a, **k)
    )
    given = tiles(seed=30)
    made = onnx.load(write_quantised(bundle, given, calibration_of(given), threads=2))
    monkeypatch.undo()
    assert [options.intra_op_num_threads for options in asked_for] == [2]
    exact = onnx.load(quantised_file.network_file(bundle, SIDE, SIDE))
    weighed = [node.name for node in exact.graph.node if node.op_type == "Conv"]
    quantize_static(
        exact,
        tmp_path / "theirs.onnx",
        quantised_file._Reader(bundle, given),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=sorted({node.op_type for node in exact.graph.node}),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        nodes_to_exclude=[weighed[0], weighed[-1]],
    )
    theirs = onnx.load(tmp_path / "theirs.onnx")
    assert made.graph.node == theirs.graph.node
    ours, expected = (
        {i.name: onnx.numpy_helper.to_array(i).tolist() for i in m.graph.initializer} for m in (made, theirs)
    )
    assert ours == expected


def test_only_the_newest_networks_are_kept(bundle, monkeypatch):
    monkeypatch.setattr(quantised_file, "_KEPT", 2)
    made = [write(bundle, tiles(seed=seed)) for seed in (20, 21, 22)]
    for age, path in enumerate(reversed(made[1:]), 1):
        os.utime(path, (age, age))
    assert [path.is_file() for path in made] == [False, True, True]
    assert quantised_file.cached_file(bundle, SIDE, SIDE).is_file()
    last = write(bundle, tiles(seed=23))
    assert [path.is_file() for path in [*made, last]] == [False, True, False, True]


def test_of_exact_networks_those_that_were_used_last_are_kept(bundle, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(network_file, "_KEPT", 3)
    first, second, exact = (network_file.network_file(bundle, side, SIDE) for side in (16, 24, SIDE))
    small = write(bundle, tiles())
    for age, path in enumerate([first, second, exact, small], 1):
        os.utime(path, (age, age))
    assert network_file.network_file(bundle, 16, SIDE) == first  # used again, and so the newest
    third = network_file.network_file(bundle, 32, SIDE)
    assert [path.is_file() for path in (first, second, third, small)] == [True, False, True, True]


def test_of_a_single_tile_it_is_said_that_there_are_no_others(ensemble):
    decision = settle(ensemble, tiles(1))
    assert decision.quantised.others is False
    assert "on the 1 tile it was calibrated on" in str(decision)


def test_far_from_fp32_it_is_refused(ensemble):
    """Calibrated on dark tiles, whatever is bright is cut off."""
    raw, valid = tiles()
    raw[::2] //= 60
    with pytest.raises(ResourceError, match=r"too many other labels.*% are equal, at least 95%") as caught:
        settle(ensemble, (raw, valid))
    assert caught.value.hint == "no `precision`, for the fastest engine with the labels of fp32"


def test_less_near_than_usual_or_no_faster_is_said_in_words(ensemble):
    decision = settle(ensemble, tiles())
    near = replace(decision, trials=(replace(decision.trials[0], agreement=0.995),))
    quick = replace(decision.quantised, cpu_ms=1.0, exact_cpu_ms=2.0)
    assert replace(near, quantised=quick).warnings == ()
    (slow,) = replace(near, quantised=replace(quick, cpu_ms=3.0)).warnings
    assert slow.startswith("int8 is no faster than fp32")
    far = replace(decision, trials=(replace(decision.trials[0], agreement=0.97),), quantised=quick)
    assert far.warnings[0].startswith(
        "int8 gives 3.0% of the pixels another class than fp32 does, more than the 1%"
    )


def test_auto_takes_the_faster_of_those_that_are_there(ensemble, monkeypatch):
    speeds = {"onnx": 1.0, "openvino": 2.0}

    def compare(choice, _ensemble, _tiles):
        if choice.name not in speeds:
            raise ResourceError("not installed")
        return int8._Compared(trial=int8.Trial(choice=choice, speed=speeds[choice.name], agreement=0.99))

    monkeypatch.setattr(int8, "_compare", compare)
    monkeypatch.setattr(int8, "recall", lambda *_: None)
    asked = replace(ASKED, name="auto")
    decision = settle(ensemble, tiles(), asked)
    assert (decision.choice.name, decision.reason, len(decision.trials)) == ("openvino", "measured", 2)
    del speeds["openvino"]
    decision = settle(ensemble, tiles(), asked)
    assert (decision.choice.name, decision.trials[1].problem) == ("onnx", "not installed.")
    with pytest.raises(ResourceError, match="not installed"):
        settle(ensemble, tiles(), replace(ASKED, name="openvino"))
    speeds.clear()
    with pytest.raises(ResourceError, match=r"no engine computes in int8 here.*geoseg\[onnx\]"):
        settle(ensemble, tiles(), asked)


def test_what_was_measured_for_the_same_tiles_is_remembered(ensemble, monkeypatch):
    first = settle(ensemble, tiles(seed=2))
    monkeypatch.setattr(int8, "_compare", None)
    assert settle(ensemble, tiles(seed=2)) == replace(first, reason="remembered")


def test_left_open_the_precision_is_never_int8():
    open_ = EngineChoice(device="cpu")
    tried = list(probing._candidates(open_, replace(open_, name="torch", precision="fp32")))
    assert {"onnx", "openvino"} <= {choice.name for choice in tried}
    assert "int8" not in {choice.precision for choice in tried}


def test_networks_that_are_gone_are_made_again_or_refused(ensemble):
    given = tiles(seed=3)
    decision = settle(ensemble, given)
    path = write(ensemble.bundles[0], tuple(a[::2] for a in given))
    kept = path.read_bytes()
    restore_int8(decision, ensemble, (SIDE, SIDE), lambda: pytest.fail("they are there"))
    path.unlink()
    with pytest.raises(ResourceError, match=r"not on this machine.*XDG_CACHE_HOME"):
        ensemble.open(decision.choice).classify(*tiles(1))
    with pytest.raises(ResourceError, match="gone and cannot be made again"):
        restore_int8(decision, ensemble, (SIDE, SIDE), lambda: tiles(seed=5))
    restore_int8(decision, ensemble, (SIDE, SIDE), lambda: given)
    assert path.read_bytes() == kept
    path.unlink()
    other = replace(decision, quantised=replace(decision.quantised, sha256=("0",)))
    with pytest.raises(ResourceError, match="gone and cannot be made again"):
        restore_int8(other, ensemble, (SIDE, SIDE), lambda: given)


@pytest.mark.slow
def test_turned_views_of_an_oblong_tile_have_a_network_of_their_own(bundle):
    turned = Ensemble(bundles=(bundle, bundle), tta="d4")
    raw, valid = (a[..., :32] for a in tiles())
    decision = settle_int8(ASKED, turned, (SIDE, 32), lambda: (raw, valid))
    assert len(decision.quantised.sha256) == 2
    assert decision.trials[0].agreement > 0.95


def test_a_scene_without_data_calibrates_nothing(ensemble):
    assert settle_int8(ASKED, ensemble, (SIDE, SIDE), lambda: None).trials == ()


@pytest.mark.parametrize(("tile", "count"), [((64, 64), 16), ((512, 512), 16), ((1440, 1440), 6)])
def test_few_tiles_where_they_are_large(tile, count):
    assert tiles_wanted(tile) == count


def test_a_network_without_inner_layers_is_refused(tmp_path, monkeypatch):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    nodes = [onnx.helper.make_node("Conv", ["x", "w"], ["logits"])]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [value], [])), tmp_path / "one.onnx")
    monkeypatch.setattr(quantised_file, "network_file", lambda *_: tmp_path / "one.onnx")
    with pytest.raises(ResourceError, match=r"model made has nothing to compute in int8.*has 1 layers"):
        write(made.bundle(tmp_path), tiles())


def test_engines_and_tasks_without_int8_are_refused_in_words(bundle):
    assert find_engine(replace(ASKED, name="auto")).network.endswith("OnnxNetwork")
    with pytest.raises(UsageError, match=r"engine torch does not compute in 'int8'.*onnx and openvino do"):
        open_engine(bundle, replace(ASKED, name="torch"))
    with pytest.raises(UsageError, match="for CPUs"):
        find_engine(replace(ASKED, device="cuda"))
    with pytest.raises(UsageError, match="calibrated on tiles of a scene, and none are given"):
        open_engine(bundle, ASKED).classify(*tiles(1))
    with pytest.raises(UsageError, match="finds no objects"):
        open_segment_engine(bundle, ASKED)


def test_without_onnx_runtime_the_extra_is_named(ensemble, monkeypatch):
    monkeypatch.setattr(quantised_file, "find_spec", lambda _: None)
    with pytest.raises(ResourceError, match=r"ONNX Runtime is not installed.*geoseg\[onnx\]"):
        settle(ensemble, tiles(), replace(ASKED, name="openvino"))


def test_what_the_quantiser_says_of_its_arithmetic_is_not_shown(bundle, monkeypatch):
    """A range without end overflows there, with a warning of numpy, which is an error in tests."""
    measured = quantised_file._ranges

    def overflowing(*given):
        np.float32(3e38) * np.float32(3e38)
        return measured(*given)

    monkeypatch.setattr(quantised_file, "_ranges", overflowing)
    assert write(bundle, tiles(seed=77)).is_file()
