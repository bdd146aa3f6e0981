"""Dynamic World's network rebuilt: the original's own logits, and its answers for whole scenes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from geoseg.errors import InputError
from geoseg.models.architectures import Architecture, build
from geoseg.models.foreign.tensor_bundle import read_variables
from geoseg.models.known.dynamic_world import RECIPE, describe
from geoseg.models.network import fill_network


@pytest.fixture(scope="module")
def files(shared_data):
    folder = shared_data / "dynamicworld_forward"
    if not folder.is_dir():
        pytest.skip("Dynamic World's variables are not there")
    return {file.name: (folder / file.name).read_bytes() for file in RECIPE.files}


def test_logits_are_those_of_the_original(files, shared_data):
    example = np.load(shared_data / "dynamicworld_forward" / "example_input_logits.npz")
    model, weights = RECIPE.convert(files)
    network = fill_network(model.architecture, weights, bands=9, classes=9)
    network.light = torch.nn.Identity()  # the example begins behind it
    with torch.inference_mode():
        found = network(torch.from_numpy(example["x"]).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    assert np.abs(found - example["y"]).max() < 2e-5
    np.testing.assert_array_equal(found.argmax(-1), example["y"].argmax(-1))


def test_light_is_the_published_formula():
    """In float64 as it is published for reflectance x 10000, which this network takes without the factor."""
    model = describe()
    values = np.array([0, 1, 57, 300, 1000, 4000, 12000, 28000], np.float64)
    shift, scale = (np.array(model.architecture.arguments[key])[:, None] for key in ("shift", "scale"))
    expected = np.exp(5 * (np.log(0.005 * values + 1) - shift) / scale - 1)
    network = build(model.architecture, bands=9, classes=9)
    given = torch.tensor(values, dtype=torch.float32) * 1e-4
    found = network.light(given.expand(1, 9, 1, -1))[0, :, 0].numpy()
    np.testing.assert_allclose(found, expected / (expected + 1), rtol=0, atol=2e-6)


def test_files_cut_short_are_told(files):
    index, data = (files[file.name] for file in RECIPE.files)
    assert len(read_variables(index, data)) == 146
    for damaged in (index[:-1], index[: len(index) // 2], b"", index[:-9] + b"\0" * 9):
        with pytest.raises(InputError, match="not the variables"):
            read_variables(damaged, data)
    with pytest.raises(InputError, match="outside the data"):
        read_variables(index, data[: len(data) // 2])


def test_halving_is_the_antialiased_bilinear_of_torch():
    network = build(Architecture(name="dynamic_world"), bands=9, classes=9)
    x = torch.randn(1, 64, 10, 14, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True, align_corners=False)
    torch.testing.assert_close(network.halve(x), expected, rtol=1e-5, atol=1e-6)


def test_a_tile_that_reaches_beyond_its_margin_changes_nothing_inside():
    """The margin of the recipe is wide enough: what lies beyond it has no say."""
    torch.manual_seed(1)
    network = build(Architecture(name="dynamic_world"), bands=2, classes=3).eval()
    x = torch.rand(1, 2, 96, 96)
    other = x.clone()
    other[..., :32, :] = torch.rand(1, 2, 32, 96)
    with torch.inference_mode():
        same = network(x)[..., 64:, :], network(other)[..., 64:, :]
    torch.testing.assert_close(*same, rtol=0, atol=0)
