"""One forward pass over the whole scene: what every way to tile is compared with."""

import torch
from task import asked
from torch.nn.functional import pad

given = asked()
image = given.read()[None]
height, width = image.shape[-2:]
padded = pad(image, (0, -width % 32, 0, -height % 32), mode="reflect")
with torch.inference_mode():
    best = given.load()(padded).argmax(1)[0, :height, :width]
given.write(best.numpy())
