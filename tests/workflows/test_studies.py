"""The studies run from their configurations on the demo's kind of files, and their numbers agree."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio

from geoseg.demo.files import write_scenes
from geoseg.demo.frontier import make_frontier
from geoseg.errors import UsageError
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
    assert script.main([str(CONFIGS / "deforestation.yaml")]) == 0, "a second run"


@pytest.mark.parametrize("name", ["land_use", "deforestation"])
def test_a_wrong_key_is_named(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "study.yaml"
    config.write_text((CONFIGS / f"{name}.yaml").read_text() + "modle: x\n")
    assert load_script(name).main([str(config)]) == UsageError.exit_code
    assert "'model'" in capsys.readouterr().err
