"""The studies run from their configurations on the demo's kind of files, and their numbers agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from geoseg.demo.files import write_scenes
from geoseg.demo.frontier import make_frontier
from geoseg.errors import UsageError
from geoseg.sampling.file import read_sample, write_sample
from geoseg.sampling.layout import Answer
from tests.workflows.scripts import load_script

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "demo-out").mkdir()
    write_scenes(folder / "demo-out", make_frontier(31, (203, 241)))
    return folder


def test_land_use(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(place)
    script = load_script("land_use")
    assert script.main([str(CONFIGS / "land_use.yaml")]) == 0
    assert "pasture" in capsys.readouterr().out
    out = place / "runs" / "land_use"
    areas = pd.read_csv(out / "areas.csv", index_col="class")
    with rasterio.open(out / "map" / "classes.tif") as file:
        mapped = (file.read(1) != 255).sum()
    # 10 m pixels, 0.01 ha each in the plane; UTM's scale near its central meridian is 0.9996
    assert areas["hectares"].sum() == pytest.approx(mapped * 0.01, rel=1.5e-3)
    assert areas["polygons"].sum() == len(gpd.read_file(out / "classes.gpkg", layer="landcover"))
    assert {"scene.png", "classes.png", "polygons.png", "confusion.png", "scores.json"} <= {
        p.name for p in out.iterdir()
    }
    assert script.main([str(CONFIGS / "land_use.yaml")]) == 0, "a second run"


def test_deforestation(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    script = load_script("deforestation")
    assert script.main([str(CONFIGS / "deforestation.yaml")]) == 0
    out = place / "runs" / "deforestation"
    summary = json.loads((out / "summary.json").read_text())
    with (
        rasterio.open(out / "before" / "classes.tif") as a,
        rasterio.open(out / "after" / "classes.tif") as b,
    ):
        before, after = a.read(1), b.read(1)
    known = (before != 255) & (after != 255)
    lost = (known & (before == 1) & (after != 1)).sum()
    assert summary["loss_ha"] == pytest.approx(lost * 0.01, rel=1.5e-3)
    assert sum(summary["became"].values()) == pytest.approx(summary["loss_ha"], rel=1e-6)
    assert summary["forest_before_ha"] - summary["loss_ha"] + summary["gain_ha"] == pytest.approx(
        summary["forest_after_ha"], abs=1e-3
    )
    patches = gpd.read_file(out / "loss.gpkg")
    assert len(patches) == summary["patches"] and (patches["area_ha"] >= 0.5).all()
    assert patches["area_ha"].sum() <= summary["loss_ha"] * (1 + 1e-6)
    years = 5
    rate = 100 * np.log(summary["forest_after_ha"] / summary["forest_before_ha"]) / years
    assert summary["percent_per_year"] == pytest.approx(rate, abs=1e-3)
    assert summary["reference"]["loss_recall"] > 0.5
    assert "estimated" not in summary, "nothing is labelled yet"
    truth = _label(out / "sample.gpkg", out / "reference" / "change.tif")
    assert script.main([str(CONFIGS / "deforestation.yaml")]) == 0, "a second run"
    summary = json.loads((out / "summary.json").read_text())
    for name, hectares in truth.items():
        found = summary["estimated"][name]
        assert abs(found["hectares"] - hectares) < 4 * found["se"] + 1
    written = {p.name for p in (out / "report").iterdir()}
    assert {"study.xlsx", "methods.md", "areas.png", "sankey.svg"} <= written


def _label(path: Path, reference: Path) -> dict[str, float]:
    """Label a sample with the true change; hectares of loss and of stable forest."""
    sample = read_sample(path)
    names = {
        "forest → other": "forest loss",
        "other → forest": "forest gain",
        "forest (unchanged)": "stable forest",
    }
    with rasterio.open(reference) as file:
        codes, inverse = file.read(1), ~file.transform
        tags = {int(k.removeprefix("CLASS_")): v for k, v in file.tags().items() if k.startswith("CLASS_")}
    classes = {c.name: c.id for c in sample.legend.classes}
    units = []
    for unit in sample.units:
        place = shapely.centroid(shapely.from_wkb(unit.geometry)).coords[0]
        col, row = inverse * place
        name = names.get(tags.get(int(codes[int(row), int(col)]), ""), "stable other")
        answer = Answer(label=classes[name]) if name in classes else Answer(unknown="cannot tell")
        units.append(replace(unit, answer=answer))
    write_sample(path, replace(sample, units=tuple(units)), overwrite=True)
    report = json.loads(reference.with_name("transitions.json").read_text())
    forest = next(c for c in report["classes"] if c["class"] == "forest")
    return {"forest loss": forest["loss_ha"], "stable forest": forest["persistence_ha"]}


@pytest.mark.parametrize("name", ["land_use", "deforestation"])
def test_a_wrong_key_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "study.yaml"
    config.write_text((CONFIGS / f"{name}.yaml").read_text() + "modle: x\n")
    assert load_script(name).main([str(config)]) == UsageError.exit_code
    assert "'model'" in capsys.readouterr().err
