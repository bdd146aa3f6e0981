# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From a scene to hectares
#
# This notebook walks through everything geoseg does with one area: look at a scene, map its classes, turn the map into
# polygons, score it against a reference, and compare two dates.
#
# The area is **synthetic**: a frontier of forest, pasture and fields drawn by a program, so that nothing has to be
# downloaded and the true class of every pixel is known. Put your own files in its place and the rest stays the same.

# %%
from pathlib import Path
from tempfile import mkdtemp

from IPython.display import Image

import geoseg
from geoseg.demo.frontier import make_frontier
from geoseg.demo.files import write_scenes
from geoseg.report import figures

folder = Path(mkdtemp(prefix="geoseg-"))
write_scenes(folder, make_frontier(seed=77, shape=(521, 613)))
sorted(p.name for p in folder.iterdir())

# %% [markdown]
# ## Look at the scene
#
# `open_scene` reads nothing but the header. A scene can be one file, one file per band, a folder or a pattern, and
# can be far larger than memory: it is read window by window.

# %%
scene = geoseg.open_scene(folder / "scene_after.tif")
print(scene.shape, scene.dtype, scene.band_names, "nodata", scene.nodata)
print(scene.grid.crs.name, scene.grid.bounds)

# %%
Image(figures.draw_scene(scene, folder / "scene.png", title="Scene, true colour"))

# %% [markdown]
# The same scene as xarray, lazy and with coordinates. Vegetation is dark in red and bright in the near infrared,
# which is what the NDVI shows: high over forest, negative over water.

# %%
image = scene.to_xarray()
image

# %%
part = image.isel(x=slice(200, 400), y=slice(200, 400)).astype("float32")
ndvi = (part.sel(band="nir") - part.sel(band="red")) / (part.sel(band="nir") + part.sel(band="red"))
print(f"NDVI: from {float(ndvi.min()):.2f} to {float(ndvi.max()):.2f}, median {float(ndvi.median()):.2f}")

# %% [markdown]
# ## Map the classes
#
# What will it cost? `plan` says so before any model runs.

# %%
forecast = geoseg.plan(folder / "scene_after.tif", model="demo-frontier", out=folder / "after", probe=False)
tiling = forecast.request.tiling
print(f"tiles of {tiling.tile} pixels with a margin of {tiling.margin}, in chunks of {tiling.chunk}: {tiling.chunks}")
print(f"{forecast.memory / 1e6:.0f} MB of memory besides the network, at most {forecast.disk / 1e6:.1f} MB on disk")

# %% [markdown]
# `predict` writes a class map and its confidence as cloud-optimised GeoTIFFs. Killed at any moment, the same call
# resumes; called again after completion, it only checks what is there. Large scenes: `workers=4` runs four processes,
# `scheduler="tcp://..."` a Dask cluster. The result does not depend on it.

# %%
predictions = {
    date: geoseg.predict(folder / f"scene_{date}.tif", model="demo-frontier", out=folder / date, threads=1)
    for date in ("before", "after")
}
after = predictions["after"]
print(after.classes.name, after.confidence.name, after.manifest.name)
print({name: f"{pixels:,}" for name, pixels in after.pixels.items()})

# %%
Image(figures.draw_classes(after.classes, folder / "classes.png", title="Classes"))

# %%
classes = geoseg.open_class_map(after.classes)
print({c.id: c.name for c in classes.legend.classes})
classes.to_xarray()

# %% [markdown]
# ## Polygons
#
# One polygon per 4-connected region, exact to the pixel's edge, with class, geodesic hectares and mean confidence.
# The ending of the name chooses the format: `.gpkg`, `.shp`, `.fgb`, `.parquet`, `.geojson`.

# %%
import geopandas as gpd

layer = geoseg.vectorize(after.classes, out=folder / "classes.gpkg")
polygons = gpd.read_file(layer.path, layer="landcover")
print(f"{len(polygons):,} polygons")
polygons.drop(columns="geometry").sort_values("area_ha", ascending=False).head()

# %%
polygons.groupby("class_name")["area_ha"].sum().sort_values(ascending=False).round(1)

# %%
Image(
    figures.draw_polygons(
        scene,
        layer.path,
        folder / "polygons.png",
        window=figures.busiest_window(after.classes, 64),
        legend=classes.legend,
        title="Polygons over single pixels",
    )
)

# %% [markdown]
# ## How good is it?
#
# The reference may be a raster or a vector layer in any CRS. Here it is the exact truth of a synthetic scene, so the
# scores say that the chain works, and nothing about real land.

# %%
scores = geoseg.evaluate(after.classes, folder / "reference_after.tif", out=folder / "scores.json")
print(f"mean IoU {scores.overall['mean_iou']:.3f}, overall accuracy {scores.overall['overall_accuracy']:.3f}")
scores.to_table()[["iou", "precision", "recall", "reference"]].round(3)

# %%
Image(figures.draw_confusion(scores.matrix.counts, scores.legend.names, folder / "confusion.png"))

# %% [markdown]
# ## What changed?
#
# Hectares are geodesic, and a pixel without a class at either date is unknown, never unchanged.

# %%
comparison = geoseg.change(predictions["before"].classes, after.classes, out=folder / "change")
transitions = comparison.transitions
for name, gain, loss in zip(transitions.names, transitions.gains, transitions.losses, strict=True):
    print(f"{name:10}  +{gain:8,.1f} ha  -{loss:8,.1f} ha")

# %%
Image(figures.draw_change(predictions["before"].classes, after.classes, folder / "change.png", title="What changed"))

# %% [markdown]
# The same on the command line:
#
#     geoseg predict   scene_after.tif --model demo-frontier --out after
#     geoseg vectorize after/classes.tif --out classes.gpkg
#     geoseg evaluate  after/classes.tif reference_after.tif --out scores.json
#     geoseg change    before/classes.tif after/classes.tif --out change
#
# or all of it from one file, `geoseg run configs/run.yaml`. In QGIS, drag `classes.tif` and `classes.gpkg` into the
# window: colours and class names come with them.
