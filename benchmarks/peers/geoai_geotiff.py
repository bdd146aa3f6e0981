"""geoai: `predict_geotiff`, told not to divide by 255, as the network normalises by itself."""

from geoai.inference import predict_geotiff
from task import asked

given = asked()
tiling = {"tile_size": given.tile, "overlap": given.overlap}
predict_geotiff(
    given.load(),
    given.scene,
    given.out,
    num_classes=len(given.ids),
    output_dtype="uint8",
    output_nodata=255,
    preprocess_fn=lambda tile: tile.astype("float32"),
    postprocess_fn=lambda scores: given.numbered(scores.argmax(0))[None],
    device="cpu",
    verbose=False,
    **{key: value for key, value in tiling.items() if value is not None},
)
