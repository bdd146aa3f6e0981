from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from shapely.geometry import box

from geoseg.demo.frontier import Frontier, make_frontier
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.raster.classmap import open_class_map
from geoseg.raster.cog import RasterLayer, publish_cog
from geoseg.raster.opening import open_scene
from geoseg.raster.write import write_geotiff
from geoseg.report import decimate, figures


@pytest.fixture(scope="module")
def frontier() -> Frontier:
    return make_frontier(21, (211, 307))


@pytest.fixture(scope="module")
def files(frontier: Frontier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_geotiff(
        folder / "scene.tif", frontier.grid, frontier.after, nodata=0, band_names=frontier.band_names
    )
    for name, labels in (("before", frontier.reference_before), ("after", frontier.reference_after)):
        publish_cog(
            folder / f"{name}.tif",
            frontier.grid,
            lambda w, labels=labels: labels[w.slices_in(frontier.grid.window)],
            [frontier.grid.window],
            RasterLayer(legend=frontier.legend),
        )
    return folder


def _share(picture: Path, colour: str) -> float:
    """Share of a picture's pixels that have a colour, give or take the blending at edges."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return float((np.abs(imread(picture)[..., :3] - rgb).max(-1) < 0.02).mean())


def test_scene_shows_variety_and_white_collar(files: Path, tmp_path: Path) -> None:
    picture = figures.draw_scene(files / "scene.tif", tmp_path / "new" / "scene.png", title="Scene")
    pixels = imread(picture)
    assert pixels.shape[0] > 300 and pixels.shape[1] > 300
    assert pixels[..., :3].std() > 0.15
    assert _share(picture, "#FFFFFF") > 0.05
    assert [p.name for p in picture.parent.iterdir()] == ["scene.png"]


def test_class_map_has_the_legends_colours_in_its_shares(
    files: Path, tmp_path: Path, frontier: Frontier
) -> None:
    picture = figures.draw_classes(files / "after.tif", tmp_path / "classes.png")
    truth = frontier.reference_after
    forest, water = (frontier.legend.find(n) for n in ("forest", "water"))
    ratio = _share(picture, forest.color) / _share(picture, water.color)
    expected = (truth == forest.id).sum() / (truth == water.id).sum()
    assert ratio == pytest.approx(expected, rel=0.15)


def test_change_shows_only_what_changed(files: Path, tmp_path: Path, frontier: Frontier) -> None:
    changed = figures.draw_change(files / "before.tif", files / "after.tif", tmp_path / "change.png")
    nothing = figures.draw_change(files / "after.tif", files / "after.tif", tmp_path / "nothing.png")
    bare = frontier.legend.find("bare soil").color
    assert _share(changed, bare) > 0.005
    assert _share(nothing, bare) == 0


def test_maps_on_different_grids_are_refused(files: Path, tmp_path: Path, frontier: Frontier) -> None:
    small = frontier.grid.crop(Window(0, 0, 40, 40))
    other = write_geotiff(tmp_path / "other.tif", small, np.ones((40, 40), np.uint8))
    with pytest.raises(InputError, match="not on one grid"):
        figures.draw_change(files / "before.tif", other, tmp_path / "change.png")
    assert not (tmp_path / "change.png").exists()


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet", ".shp"])
def test_outlines_lie_on_the_pixels_edges(tmp_path: Path, suffix: str) -> None:
    """A bright block of pixels and its polygon: the outline runs around the block, not half a pixel off."""
    import geopandas as gpd

    grid = make_frontier(1, (64, 64)).grid
    image = np.full((1, 64, 64), 100, np.uint16)
    image[0, 20:30, 24:40] = 900
    scene = write_geotiff(tmp_path / "scene.tif", grid, image)
    west, north = grid.corner(20, 24)
    east, south = grid.corner(30, 40)
    layer = tmp_path / f"layer{suffix}"
    frame = gpd.GeoDataFrame({"class_id": [3]}, geometry=[box(west, south, east, north)], crs=grid.crs)
    if suffix == ".parquet":
        frame.to_parquet(layer)
    elif suffix == ".geojson":
        frame.to_crs(4326).to_file(layer)
    else:
        frame.to_file(layer)
    legend = Legend.of({3: "pond"}, {3: "#FF0000"})
    picture = imread(
        figures.draw_polygons(scene, layer, tmp_path / "p.png", window=Window(10, 10, 40, 40), legend=legend)
    )[..., :3]
    red = (picture[..., 0] > 0.9) & (picture[..., 1] < 0.2)
    red[:, int(picture.shape[1] * 0.85) :] = False  # the legend's patch
    # the block is white inside its outline, black outside
    block = (picture > 0.95).all(-1)
    rows, cols = np.nonzero(red)
    middle = (rows.min() + rows.max()) // 2, (cols.min() + cols.max()) // 2
    inside = np.nonzero(block[middle[0], cols.min() : cols.max()])[0]
    down = np.nonzero(block[rows.min() : rows.max(), middle[1]])[0]
    across, high = cols.max() - cols.min(), rows.max() - rows.min()
    assert across / high == pytest.approx(16 / 10, rel=0.03)
    line = 0.35 * high / 10  # a third of a pixel: the stroke itself
    assert inside.min() < line and across - inside.max() < line
    assert down.min() < line and high - down.max() < line


def test_window_outside_and_missing_layer_are_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not inside"):
        figures.draw_polygons(
            files / "scene.tif", tmp_path / "no.gpkg", tmp_path / "p.png", window=Window(0, 0, 999, 5)
        )
    with pytest.raises(InputError, match="not found"):
        figures.draw_polygons(files / "scene.tif", tmp_path / "no.gpkg", tmp_path / "p.png")
    (tmp_path / "text.gpkg").write_text("this is not a layer")
    with pytest.raises(InputError, match="not a vector file"):
        figures.draw_polygons(files / "scene.tif", tmp_path / "text.gpkg", tmp_path / "p.png")


def test_confusion_matrix_is_drawn_even_with_an_empty_class(tmp_path: Path) -> None:
    counts = np.array([[90, 10, 0], [5, 12_345_678, 0], [0, 0, 0]], np.int64)
    picture = imread(figures.draw_confusion(counts, ("a", "b", "c"), tmp_path / "m.png"))
    dark = (picture[..., 1] < 0.4) & (picture[..., 0] < 0.2)
    assert dark.mean() > 0.05, "the diagonal is dark"
    with pytest.raises(UsageError, match="does not fit"):
        figures.draw_confusion(counts, ("a", "b"), tmp_path / "m.png")


def test_a_folder_that_cannot_be_made_is_an_output_conflict(files: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputConflictError):
        figures.draw_scene(files / "scene.tif", tmp_path / "file" / "a.png")


@pytest.mark.parametrize("size", [1000, 150, 60, 7])
@pytest.mark.parametrize("block", [2048, 32])
def test_small_versions_do_not_depend_on_the_blocks(
    files: Path, frontier: Frontier, monkeypatch: pytest.MonkeyPatch, size: int, block: int
) -> None:
    monkeypatch.setattr(decimate, "_BLOCK", block)
    scene, classes = open_scene(files / "scene.tif"), open_class_map(files / "after.tif")
    small = decimate.read_image(scene, None, size)
    labels, step = decimate.read_classes(classes, size)
    assert step == small.step and max(labels.shape) <= size and labels.shape == small.pixels.shape[1:]
    reference, pixels = frontier.reference_after, frontier.after[2]
    rows, cols = (np.arange(n) // step for n in reference.shape)
    cell = rows[:, None] * labels.shape[1] + cols
    assert np.bincount(cell.ravel(), (labels.ravel()[cell] == reference).ravel()).all()
    valid = reference != 255
    counts, sums = (np.bincount(cell[valid], w, labels.size) for w in (None, pixels[valid]))
    expected = np.where(counts, sums / np.maximum(counts, 1), np.nan).reshape(labels.shape)
    assert np.allclose(small.pixels[2], expected, equal_nan=True)


def test_busiest_window_holds_many_classes(files: Path, frontier: Frontier) -> None:
    window = figures.busiest_window(files / "after.tif", 48)
    assert window.shape == (48, 48) and frontier.grid.window.contains(window)
    part = frontier.reference_after[window.slices_in(frontier.grid.window)]
    assert len(np.unique(part)) >= 4


def test_default_bands_are_true_colour(tmp_path: Path) -> None:
    grid: Grid = make_frontier(1, (64, 64)).grid
    image = np.zeros((3, 64, 64), np.uint16)
    image[0, :, :32] = 500  # red, in a file that starts with blue's opposite order
    image[2, :, 32:] = 500
    scene = write_geotiff(tmp_path / "s.tif", grid, image, band_names=("blue", "green", "red"))
    picture = imread(figures.draw_scene(scene, tmp_path / "s.png"))[..., :3]
    height, width = picture.shape[:2]
    left, right = picture[height // 2, width // 4], picture[height // 2, 3 * width // 4]
    assert left[2] > left[0] and right[0] > right[2]
