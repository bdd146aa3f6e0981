"""Small scenes and bundles with random weights: what is tested here does not depend on training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from geoseg.geometry import Grid
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import save_bundle
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.raster.write import write_geotiff

if TYPE_CHECKING:
    import torch

LEGEND = Legend.of({3: "forest", 7: "pasture", 11: "water"})
BANDS = ("red", "green", "nir")


def _save(path: Path, architecture: Architecture) -> Path:
    import torch

    torch.manual_seed(7)
    network = build(architecture, bands=len(BANDS), classes=len(LEGEND))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # random statistics, so that no layer is the identity
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    _balance(network)
    model = ModelDescription(
        name=path.name,
        version="1",
        architecture=architecture,
        contract=InputContract(
            bands=tuple(Band(name=b) for b in BANDS),
            dtype="uint16",
            value_range=(0, 10000),
            mean=(3000.0,) * 3,
            std=(1500.0,) * 3,
            pixel_size=(5.0, 20.0),
        ),
        legend=LEGEND,
        licence="none",
    )
    save_bundle(path, network, model)
    return path


def _balance(network: torch.nn.Module) -> None:
    """Shift the last layer so that every class occurs."""
    import torch

    pixels = torch.from_numpy(make_pixels(128, 128, seed=3).astype(np.float32))
    with torch.inference_mode():
        logits = network.eval()(((pixels - 3000) / 1500)[None])[0]
    last = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)][-1]
    with torch.no_grad():
        last.bias -= logits.mean(dim=(1, 2))


@pytest.fixture(scope="session")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle of a random U-Net: every pixel of a tile matters to every other."""
    small = Architecture(
        name="unet", encoder="mobilenetv3_small_050", arguments={"decoder_channels": [32, 16, 16, 8, 8]}
    )
    return _save(tmp_path_factory.mktemp("bundles") / "unet", small)


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle of a random per-pixel classifier."""
    return _save(tmp_path_factory.mktemp("bundles") / "linear", Architecture(name="linear"))


def make_pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth fields with noise, (3, height, width) uint16 in 1..10000."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(500, 8000, (3, height // 24 + 2, width // 24 + 2))
    fine = np.kron(coarse, np.ones((1, 24, 24)))[:, :height, :width]
    return np.clip(fine + rng.normal(0, 400, fine.shape), 1, 10000).astype(np.uint16)


@pytest.fixture
def scene_file(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a scene: (height, width) or given pixels, nodata 0."""

    def write(pixels: np.ndarray, name: str = "scene.tif") -> Path:
        grid = Grid(
            crs=CRS.from_epsg(32720),
            transform=Affine(10, 0, 500000, 0, -10, 9000000),
            height=pixels.shape[1],
            width=pixels.shape[2],
        )
        path = tmp_path / name
        write_geotiff(path, grid, pixels, nodata=0, band_names=BANDS)
        return path

    return write
