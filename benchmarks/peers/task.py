"""What every peer is asked: labels of a GeoTIFF by a network in TorchScript, as a GeoTIFF.

Scripts of this folder run in environments of their own and know nothing of geoseg. The network takes raw
values, float32 (N, bands, H, W), normalises by itself, and gives logits (N, classes, H, W).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import rasterio
import torch


@dataclass(frozen=True)
class Task:
    """Paths, class numbers in the order of the network's, and how to tile; None: as the tool does untold."""

    scene: str
    network: str
    out: str
    ids: list[int]
    tile: int | None
    overlap: int | None

    def load(self) -> torch.jit.ScriptModule:
        """The network, in evaluation mode."""
        return torch.jit.load(self.network).eval()

    def read(self) -> torch.Tensor:
        """The whole scene, float32 (bands, H, W)."""
        with rasterio.open(self.scene) as file:
            return torch.from_numpy(file.read().astype(np.float32))

    def numbered(self, best: np.ndarray) -> np.ndarray:
        """Class numbers, uint8, of positions of classes."""
        return np.array(self.ids, np.uint8)[best]

    def write(self, best: np.ndarray) -> None:
        """Write the map of positions of classes (H, W)."""
        with rasterio.open(self.scene) as file:
            profile = file.profile
        profile.update(count=1, dtype="uint8", nodata=255, photometric=None)
        with rasterio.open(self.out, "w", **profile) as file:
            file.write(self.numbered(best), 1)


def asked() -> Task:
    """Task of the command line; torch is told how many threads to use."""
    parser = argparse.ArgumentParser()
    for name in ("scene", "network", "out"):
        parser.add_argument(name)
    parser.add_argument("--ids", type=int, nargs="+", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--overlap", type=int)
    given = vars(parser.parse_args())
    torch.set_num_threads(given.pop("threads"))
    return Task(**given)
