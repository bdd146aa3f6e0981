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
# # How much was lost, and how sure is that?
#
# Two scenes become two maps, the maps a change, and the change an area of loss. But maps err. So a random sample of pixels
# is looked at by people, and the area is estimated from it, with an interval (Olofsson et al. 2014; Stehman 2014).
#
# The place is **synthetic**, so that nothing has to be downloaded and the truth is known: it labels the sample here, and it
# tells at the end whether the intervals hold it. With scenes of your own, people label the sample in QGIS.

# %%
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
import rasterio
import shapely
from IPython.display import SVG, Image, Markdown

import geoseg
from geoseg.demo.files import write_scenes
from geoseg.demo.frontier import make_frontier
from geoseg.report import figures
from geoseg.sampling.file import read_sample, write_sample
from geoseg.sampling.layout import Answer

folder = Path(mkdtemp(prefix="geoseg-"))
write_scenes(folder, make_frontier(seed=77, shape=(421, 513)))

# %% [markdown]
# ## Two maps and their change
#
# All classes but forest are merged, and the transitions become the strata of a sample: loss, gain, stable forest, the rest.

# %%
dates = {"before": "2019", "after": "2024"}
maps = [
    geoseg.predict(folder / f"scene_{date}.tif", model="demo-frontier", out=folder / date).classes for date in dates
]
Image(figures.draw_classes(maps[0], folder / "before.png", title=dates["before"]))

# %%
Image(figures.draw_classes(maps[1], folder / "after.png", title=dates["after"]))

# %%
merged = {name: "forest" if name == "forest" else "other" for name in geoseg.load_bundle("demo-frontier").legend.names}
change = geoseg.change(
    *maps,
    out=folder / "change",
    crosswalk=merged,
    strata_class="forest",
    date_before=dates["before"],
    date_after=dates["after"],
)
Image(figures.draw_change(*maps, folder / "change.png", title="What changed"))

# %%
pd.DataFrame(change.per_class).set_index("class")[["before_ha", "after_ha", "loss_ha", "gain_ha", "puyravaud_rate"]]

# %% [markdown]
# ## A sample
#
# Every stratum gets some of 300 pixels; a buffer of stable forest around loss is a stratum of its own, since an omission
# there would otherwise decide the whole error. `expected` says what to await of each way to share them out.

# %%
design = geoseg.sample_design(
    change.raster, crosswalk=change.strata, buffer=3, n=300, seed=1, out=folder / "sample.gpkg"
)
pd.DataFrame([{"stratum": s.name, "pixels": s.pixels, "ha": s.hectares, "n": s.n} for s in design.strata])

# %% [markdown]
# `sample.gpkg` opens in QGIS with a form that does not show the map's class, and units come in random order. Here the known
# truth answers.

# %%
truth = geoseg.change(
    folder / "reference_before.tif", folder / "reference_after.tif", out=folder / "truth", crosswalk=merged
)
STRATA = {"forest → other": "forest loss", "other → forest": "forest gain", "forest (unchanged)": "stable forest"}
with rasterio.open(truth.raster) as file:
    codes, to_pixels = file.read(1), ~file.transform
    names = {int(k.removeprefix("CLASS_")): v for k, v in file.tags().items() if k.startswith("CLASS_")}

sample = read_sample(folder / "sample.gpkg")
units = []
for unit in sample.units:
    col, row = to_pixels * shapely.centroid(shapely.from_wkb(unit.geometry)).coords[0]
    name = STRATA.get(names.get(int(codes[int(row), int(col)]), ""), "stable other")
    units.append(replace(unit, answer=Answer(label=sample.legend.find(name).id)))
write_sample(folder / "sample.gpkg", replace(sample, units=tuple(units)), overwrite=True)

# %% [markdown]
# ## The estimate
#
# The area of each class with its 95 % interval, beside what counting pixels of the map gives, and beside the truth.

# %%
found = geoseg.sample_estimate(
    folder / "sample.gpkg",
    map=change.raster,
    ratio=["forest loss / forest loss,stable forest"],
    out=folder / "estimates.json",
)
forest = next(c for c in truth.per_class if c["class"] == "forest")
known = {"forest loss": forest["loss_ha"], "forest gain": forest["gain_ha"], "stable forest": forest["persistence_ha"]}
table = pd.DataFrame(found.per_class).set_index("class")
table = table[["mapped_ha", "area_ha", "area_ha_low", "area_ha_high", "users", "producers"]]
table.assign(truth_ha=pd.Series(known)).round(3)

# %%
for name, hectares in known.items():
    se = next(r["area_ha_se"] for r in found.per_class if r["class"] == name)
    assert not se > 0 or abs(table.loc[name, "area_ha"] - hectares) < 4 * se + 1, name
for note in found.notes:
    print("note:", note)

# %% [markdown]
# ## What is handed over
#
# One workbook with every table, the same as CSV, charts, and a methods paragraph with these numbers and their citations.

# %%
report = geoseg.write_report([folder / "estimates.json", folder / "change"], out=folder / "report", title="A frontier")
sorted(path.name for path in report.files)

# %%
Image(report.out / "areas.png")

# %%
SVG(report.out / "sankey.svg")

# %%
Markdown((report.out / "methods.md").read_text())
