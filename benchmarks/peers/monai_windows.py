"""MONAI: `sliding_window_inference` over the scene in memory, four windows at once."""

import torch
from monai.inferers import sliding_window_inference
from task import asked

given = asked()
tile = given.tile or 512
more = {} if given.overlap is None else {"overlap": given.overlap / tile}
with torch.inference_mode():
    scores = sliding_window_inference(
        given.read()[None], roi_size=(tile, tile), sw_batch_size=4, predictor=given.load(), **more
    )
given.write(scores.argmax(1)[0].numpy())
