"""TorchGeo: `RasterDataset`, `GridGeoSampler` and a loader; chips are laid down one over the other."""

from pathlib import Path

import numpy as np
import rasterio
import torch
from task import asked
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import GridGeoSampler

given = asked()
tile = given.tile or 512
stride = tile - (128 if given.overlap is None else given.overlap)


class Scene(RasterDataset):
    """The one file."""

    filename_glob = Path(given.scene).name


dataset = Scene(given.scene)
sampler = GridGeoSampler(dataset, size=tile, stride=stride)
loader = DataLoader(dataset, batch_size=4, sampler=sampler, collate_fn=stack_samples)
with rasterio.open(given.scene) as file:
    (height, width), transform = file.shape, file.transform
best = np.zeros((height, width), np.uint8)
network, places = given.load(), iter(sampler)  # a chip's own bounds are float32, too coarse for small pixels
with torch.inference_mode():
    for batch in loader:
        for chip, (x, y, _) in zip(network(batch["image"]).argmax(1).numpy(), places, strict=False):
            col, row = (round(v) for v in ~transform * (x.start, y.stop))
            top, left = max(row, 0), max(col, 0)
            inside = chip[top - row : height - row, left - col : width - col]
            best[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
given.write(best)
