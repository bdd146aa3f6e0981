"""The verb prompt: each prompt answered once with the object that it lies on, whatever the others are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from geoseg.errors import GeosegError, InputError, OutputConflictError, UsageError
from geoseg.geometry import Window
from geoseg.models.bundle import Bundle
from geoseg.prompts.job import PromptJob
from geoseg.prompts.verb import Prompted, prompt, run_prompt
from geoseg.writers.formats import FORMATS
from tests.models.bundles import bundle
from tests.prompts.engines import SameValue
from tests.raster.makers import TRANSFORM, UTM, write

OBJECTS = {
    "small": Window(20, 30, 6, 9),
    "corner": Window(0, 0, 12, 10),
    "edge": Window(90, 180, 15, 20),
    "long": Window(60, 5, 8, 150),
}
HEIGHT, WIDTH = 120, 200


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Objects of the values 10, 20, 30 and 40 in nothing (5), without data below row 110."""
    pixels = np.full((3, HEIGHT, WIDTH), 5, np.uint8)
    pixels[0] = 0
    for value, window in zip((10, 20, 30, 40), OBJECTS.values(), strict=True):
        pixels[:, window.row : window.row_end, window.col : window.col_end] = value
    pixels[:, 110:] = 255
    return write(tmp_path / "scene.tif", pixels, nodata=255)


@pytest.fixture
def model(tmp_path: Path) -> Bundle:
    return bundle(tmp_path)


def at(row: float, col: float) -> shapely.Point:
    return shapely.Point(TRANSFORM * (col + 0.5, row + 0.5))


def outline(window: Window) -> shapely.Polygon:
    (x0, y0), (x1, y1) = (
        TRANSFORM * (window.col, window.row),
        TRANSFORM * (window.col_end, window.row_end),
    )
    return shapely.box(x0, y1, x1, y0)


def middle(window: Window) -> shapely.Point:
    return at(window.row + window.height // 2, window.col + window.width // 2)


def layer(path: Path, shapes: list[Any], crs: Any = UTM, **columns: Any) -> Path:
    geopandas.GeoDataFrame({**columns, "geometry": shapes}, crs=UTM).to_crs(crs).to_file(path)
    return path


def asked(
    scene: Path, prompts: Path, model: Bundle, *, engine: Any = None, out: str = "out.gpkg", **options: Any
) -> tuple[Prompted, geopandas.GeoDataFrame]:
    job = PromptJob.parse(
        {"scene": str(scene), "prompts": prompts, "model": str(model.path), "out": scene.parent / out}
        | options
    )
    result = run_prompt(job, engine=engine or SameValue())
    return result, geopandas.read_file(result.path)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857"])
@pytest.mark.parametrize("centred", [True, False])
def test_each_prompt_is_answered_with_the_object_it_lies_on(
    scene: Path, model: Bundle, crs: str, centred: bool
) -> None:
    names = ["small", "corner", "edge"]
    file = layer(scene.parent / "p.gpkg", [middle(OBJECTS[n]) for n in names], crs, name=names)
    result, rows = asked(scene, file, model, engine=SameValue(centred=centred))
    assert rows["name"].tolist() == names
    assert rows["status"].tolist() == ["ok"] * 3
    assert rows["score"].tolist() == [10, 20, 30]
    assert result.status == {"ok": 3, "empty": 0, "outside": 0, "nodata": 0}
    for name, shape, pixels, area in zip(names, rows.geometry, rows["pixels"], rows["area_m2"], strict=True):
        assert shape.normalize().equals(shapely.MultiPolygon([outline(OBJECTS[name])]).normalize())
        assert pixels == OBJECTS[name].area
        assert area == pytest.approx(pixels * 100, rel=2e-3)  # UTM at its central meridian: 0.9996 squared


def test_outlines_get_right_angles(scene: Path, model: Bundle) -> None:
    with rasterio.open(scene, "r+") as file:
        pixels = file.read()
        rows, cols = np.mgrid[:HEIGHT, :WIDTH] - np.array([40, 120])[:, None, None]
        turned = np.maximum(abs(0.8 * rows + 0.6 * cols), abs(0.8 * cols - 0.6 * rows)) < 11
        pixels[:, turned] = 50
        file.write(pixels)
    file = layer(scene.parent / "p.gpkg", [at(40, 120), middle(OBJECTS["small"])])
    _, traced = asked(scene, file, model, engine=SameValue(side=128))
    result, squared = asked(scene, file, model, engine=SameValue(side=128), out="square.gpkg", square=15)
    assert result.notes[-1].startswith("2 outlines squared")
    assert squared.drop(columns="geometry").equals(traced.drop(columns="geometry"))
    assert shapely.get_num_coordinates(squared.geometry).tolist() == [5, 5]
    assert shapely.get_num_coordinates(traced.geometry[0]) > 30
    assert squared.geometry[1].normalize().equals(traced.geometry[1].normalize())
    assert squared.geometry[0].area == pytest.approx(traced.geometry[0].area, rel=0.02)


def test_the_order_of_the_layer_changes_no_row(scene: Path, model: Bundle) -> None:
    rng = np.random.default_rng(3)
    places = [at(*p) for p in rng.integers(0, (HEIGHT, WIDTH), (60, 2)).tolist()]
    found = []
    for order in (np.arange(60), rng.permutation(60)):
        file = layer(scene.parent / f"p{order[0]}.gpkg", [places[i] for i in order], own=order)
        engine = SameValue(centred=False, side=64)
        result, rows = asked(scene, file, model, engine=engine, out=f"{order[0]}.gpkg")
        assert sum(engine.asked) + result.status["outside"] + result.status["nodata"] == 60
        rows = rows.sort_values("own").reset_index(drop=True)
        found.append(pd.DataFrame(rows.drop(columns="geometry")).assign(wkb=rows.geometry.to_wkb()))
    assert found[0].equals(found[1])


def test_every_tile_is_read_once_and_only_where_prompts_lie(scene: Path, model: Bundle) -> None:
    rng = np.random.default_rng(4)
    places = rng.integers(0, (110, WIDTH), (80, 2))
    engine = SameValue(centred=False, side=32)
    file = layer(scene.parent / "p.gpkg", [at(*p) for p in places.tolist()])
    result, _ = asked(scene, file, model, engine=engine)
    assert result.windows == engine.windows == len({tuple(p) for p in (places // 16).tolist()})
    assert sum(engine.asked) == 80


def test_what_cannot_be_answered_says_why(scene: Path, model: Bundle) -> None:
    places = [at(21, 33), at(50, 100), at(-3, 5), at(115, 20), at(5, WIDTH + 1)]
    result, rows = asked(scene, layer(scene.parent / "p.gpkg", places), model)
    assert rows["status"].tolist() == ["ok", "empty", "outside", "nodata", "outside"]
    assert rows.geometry.isna().tolist() == [False, True, True, True, True]
    assert rows["pixels"].isna().tolist() == [False, True, True, True, True]
    assert "2 prompts lie outside the scene" in result.notes
    assert result.windows == 2


def test_points_of_a_group_are_one_prompt(scene: Path, model: Bundle) -> None:
    window = OBJECTS["long"]
    inside, beside = at(62, 60), at(63, 70)
    columns = {
        "object": ["a", "b", "a", None],
        "inside": ["1", "1", "0", "1"],
        "village": ["x", "y", "x", "z"],
        "note": ["p", "q", "r", "s"],
    }
    file = layer(scene.parent / "p.gpkg", [inside, at(1, 1), beside, at(22, 33)], **columns)
    result, rows = asked(scene, file, model, group="object", label="inside", engine=SameValue(side=128))
    assert result.prompts == 3
    assert rows["village"].tolist() == ["x", "y", "z"]
    assert rows["note"].isna().tolist() == [True, False, False]  # not alike
    assert rows["pixels"][1] == OBJECTS["corner"].area
    first = rows.geometry[0]
    assert not first.covers(beside)
    assert first.covers(inside)
    # the window of 128 pixels around both points cuts the object of 150
    assert rows["cut"].tolist() == [1, 0, 0]
    assert first.bounds[1:4:2] == outline(window).bounds[1:4:2]


def test_a_box_is_seen_as_coarse_as_it_has_to_be(scene: Path, model: Bundle) -> None:
    long, small = OBJECTS["long"], OBJECTS["small"]
    file = layer(scene.parent / "p.gpkg", [outline(long).buffer(30), outline(small).buffer(20)])
    result, rows = asked(scene, file, model, engine=SameValue(side=64))
    assert rows["status"].tolist() == ["ok", "ok"]
    assert rows["cut"].tolist() == [0, 0]
    # 156 pixels in three quarters of 64: four times as coarse
    assert shapely.hausdorff_distance(rows.geometry[0], outline(long)) <= 40 * np.sqrt(2)
    assert rows.geometry[1].equals(outline(small))
    assert result.hectares == pytest.approx(rows["area_m2"].sum() / 1e4)


def test_coarser_pixels_are_means_of_those_with_data(tmp_path: Path) -> None:
    from geoseg.prompts.windows import Place, read_window
    from geoseg.raster.opening import open_scene

    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 255, (2, 50, 70), np.uint8)
    hidden = rng.random((50, 70)) < 0.6
    pixels[:, hidden] = 255
    scene = open_scene(write(tmp_path / "s.tif", pixels, nodata=255))
    for step in (2, 4):
        raw, valid = read_window(scene, Place(step, -6, 33), 16)
        for row in range(16):
            for col in range(16):
                rows, cols = (-6 + row * step, 33 + col * step)
                part = (slice(max(rows, 0), max(rows + step, 0)), slice(cols, cols + step))
                seen = ~hidden[part]
                assert valid[row, col] == seen.any()
                if seen.any():
                    expected = pixels[(slice(None), *part)][:, seen].astype(float).mean(axis=1)
                    assert raw[:, row, col].tolist() == np.floor(expected + 0.5).astype(int).tolist()


@pytest.mark.parametrize("suffix", [f.suffix for f in FORMATS])
def test_every_format_takes_the_answers(scene: Path, model: Bundle, suffix: str) -> None:
    file = layer(scene.parent / "p.gpkg", [at(21, 33), at(-3, 5)], own=[7, 8])
    job = PromptJob(scene=str(scene), prompts=file, model=str(model.path), out=scene.parent / f"out{suffix}")
    result = run_prompt(job, engine=SameValue())
    assert result.path.exists()
    assert result.prompts == 2
    if suffix == ".geojson":  # brought to degrees, and once
        made = geopandas.read_file(result.path).to_crs(UTM)
        assert made.geometry[0].distance(at(21, 33)) < 1000


def test_own_columns_keep_their_values_and_ours_step_aside(scene: Path, model: Bundle) -> None:
    file = layer(scene.parent / "p.gpkg", [at(21, 33)], score=["good"], status=[3.5])
    _, rows = asked(scene, file, model)
    assert rows["score"].tolist() == ["good"]
    assert rows["status"].tolist() == [3.5]
    assert rows["score_"].tolist() == [10]
    assert rows["status_"].tolist() == ["ok"]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"group": "objekt"}, UsageError, "no field 'objekt'"),
        ({"label": "inside"}, UsageError, "none says beside which"),
        ({"label": "object", "group": "object"}, UsageError, "says neither inside nor beside"),
        ({"coarser": 3}, UsageError, "1, 2, 4, 8"),
    ],
)
def test_mistakes_in_options(
    scene: Path, model: Bundle, options: dict[str, Any], kind: type[GeosegError], text: str
) -> None:
    file = layer(scene.parent / "p.gpkg", [at(1, 1), at(2, 2)], object=["a", "a"], inside=[1, 0])
    with pytest.raises(kind, match=text):
        asked(scene, file, model, **options)


def test_lines_are_no_prompts(scene: Path, model: Bundle) -> None:
    file = layer(scene.parent / "p.gpkg", [shapely.LineString([at(1, 1), at(5, 5)])])
    with pytest.raises(InputError, match="polygons or points required"):
        asked(scene, file, model)


def test_a_group_needs_a_point_in_the_object(scene: Path, model: Bundle) -> None:
    file = layer(scene.parent / "p.gpkg", [at(1, 1), at(2, 2)], object=["a", "b"], inside=[1, 0])
    with pytest.raises(InputError, match="without a point in the object: 'b'"):
        asked(scene, file, model, group="object", label="inside")


def test_nothing_is_left_of_a_failure_and_nothing_overwritten(scene: Path, model: Bundle) -> None:
    class Broken(SameValue):
        def answer(self, *args: Any) -> Any:
            raise InputError("broken")

    file = layer(scene.parent / "p.gpkg", [at(1, 1)])
    with pytest.raises(InputError, match="broken"):
        asked(scene, file, model, engine=Broken())
    assert not (scene.parent / "out.gpkg").exists()
    asked(scene, file, model)
    with pytest.raises(OutputConflictError):
        asked(scene, file, model)


def test_a_model_of_another_task_answers_no_prompts(scene: Path, model: Bundle) -> None:
    file = layer(scene.parent / "p.gpkg", [at(1, 1)])
    with pytest.raises(UsageError, match=r"made answers no prompts.*semantic"):
        prompt(scene, file, model=str(model.path), out=scene.parent / "out.gpkg")


@pytest.mark.slow
def test_ten_thousand_prompts_on_a_hundred_million_pixels(tmp_path: Path, model: Bundle) -> None:
    """Each is answered once, and no tile is read that holds none, or twice."""
    side, count = 10_000, 10_000
    profile = {
        "width": side,
        "height": side,
        "count": 3,
        "dtype": "uint8",
        "crs": UTM,
        "transform": TRANSFORM,
    }
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "sparse_ok": True}
    with rasterio.open(tmp_path / "scene.tif", "w", driver="GTiff", **profile, **tiled):
        pass
    places = np.random.default_rng(6).integers(0, side, (count, 2))
    file = layer(tmp_path / "p.gpkg", [at(*p) for p in places.tolist()], own=np.arange(count))
    engine = SameValue(centred=False, side=512)
    result, rows = asked(tmp_path / "scene.tif", file, model, engine=engine, force=True)
    assert sum(engine.asked) == count
    assert result.windows == engine.windows == len({tuple(p) for p in (places // 256).tolist()})
    assert result.status["empty"] == count
    assert rows["own"].tolist() == list(range(count))
