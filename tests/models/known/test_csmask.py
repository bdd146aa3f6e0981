"""DLR's cloud networks: weights by name into the same network, and onnxruntime's own labels."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import onnx
import pytest
import segmentation_models_pytorch as smp
import torch
from onnx import helper, numpy_helper

from geoseg.models.known.catalogue import KNOWN
from geoseg.models.known.csmask import RECIPES
from geoseg.models.known.files import gather
from geoseg.models.network import fill_network

ENDING = "num_batches_tracked"


@pytest.mark.parametrize("recipe", [RECIPES[1], RECIPES[2]], ids=lambda recipe: recipe.name)
def test_weights_come_into_their_places(recipe):
    bands = 6 if "4b" not in recipe.name else 4
    torch.manual_seed(0)
    theirs = smp.Unet("efficientnet-b4", encoder_weights=None, in_channels=bands, classes=3).half().eval()
    unused = ("encoder._conv_head", "encoder._bn1")
    tensors = [
        numpy_helper.from_array(value.numpy(), f"model.{key}")
        for key, value in theirs.state_dict().items()
        if not key.endswith(ENDING) and not key.startswith(unused)
    ]
    file = helper.make_model(helper.make_graph([], "g", [], [], tensors)).SerializeToString()
    model, weights = recipe.convert({recipe.files[0].name: file})
    assert all(array.dtype == np.float16 for array in weights.values())
    network = fill_network(model.architecture, weights, bands=len(model.contract.bands), classes=3)
    x = torch.rand(1, bands, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), theirs.float()(x))


def test_names_and_contracts():
    assert {"clouds-s2-l1c", "clouds-s2-l2a", "clouds-s2-l1c-4b", "clouds-s2-l2a-4b"} <= KNOWN.keys()
    assert len({recipe.files[0].sha256 for recipe in RECIPES}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_labels_are_those_of_onnxruntime(recipe, shared_data, tmp_path):
    """Where the package is installed."""
    ort = pytest.importorskip("onnxruntime")
    try:
        importlib.metadata.distribution(recipe.package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{recipe.package} is not installed")
    from geoseg.geometry import Window
    from geoseg.raster.opening import open_scene

    files = gather(recipe, None, download=False)
    model, weights = recipe.convert(files)
    bands = len(model.contract.bands)
    network = fill_network(model.architecture, weights, bands=bands, classes=3)
    city = shared_data / "oscd_s2_pairs" / "paris"
    names = ["B02", "B03", "B04", "B08", "B11", "B12"][:bands]
    scene = open_scene([city / f"paris_20171107_{m}m.tif" for m in (10, 20)], bands=names)
    pixels, _ = scene.read(Window(40, 60, 256, 256))
    x = (pixels * model.contract.gain + model.contract.shift)[None].astype(np.float32)
    path = Path(tmp_path / "model.onnx")
    path.write_bytes(files[recipe.files[0].name])
    onnx.checker.check_model(str(path))
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = session.run(None, {session.get_inputs()[0].name: x})[0].argmax(1)
    with torch.inference_mode():
        found = network(torch.from_numpy(x)).argmax(1).numpy()
    assert (found == expected).mean() > 0.999
