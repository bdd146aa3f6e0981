"""TerraTorch: `tiled_inference` over the scene in memory, blending chips."""

import torch
from task import asked
from terratorch.tasks.tiled_inference import tiled_inference

given = asked()
tiling = {} if given.tile is None else {"crop": given.tile, "stride": given.tile - given.overlap}
with torch.inference_mode():
    scores = tiled_inference(given.load(), given.read()[None], **tiling)
given.write(scores.argmax(1)[0].numpy())
