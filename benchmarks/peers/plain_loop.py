"""The loop that a user writes: tiles one by one, the later over the earlier."""

import numpy as np
import torch
from task import asked

given = asked()
tile = given.tile or 512
stride = tile - (128 if given.overlap is None else given.overlap)
image, network = given.read(), given.load()
height, width = image.shape[1:]
best = np.zeros((height, width), np.uint8)
with torch.inference_mode():
    for row in range(0, max(height - tile, 0) + stride, stride):
        for col in range(0, max(width - tile, 0) + stride, stride):
            top, left = min(row, max(height - tile, 0)), min(col, max(width - tile, 0))
            part = image[None, :, top : top + tile, left : left + tile]
            best[top : top + tile, left : left + tile] = network(part).argmax(1)[0].numpy()
given.write(best)
