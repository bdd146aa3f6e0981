from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.errors import GeosegError, OutputConflictError, ResourceError
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.raster import cog
from geoseg.raster.classmap import open_class_map
from geoseg.raster.cog import RasterLayer, cog_problems, publish_cog
from geoseg.raster.store import digest
from geoseg.version import __version__
from tests.raster.makers import write

LEGEND = Legend.of({0: "water", 1: "Wald & <Forst>", 4: "town"}, {0: "#0000FF", 1: "#00AA00", 4: "#FF0000"})
NAMED = RasterLayer(legend=LEGEND)


def _grid(height: int, width: int) -> Grid:
    return Grid(crs=CRS(32633), transform=Affine(10, 0, 5e5, 0, -10, 5e6), height=height, width=width)


def _labels(height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return np.array([0, 1, 4, 255], np.uint8)[rng.integers(0, 4, (height, width))]


def _reader(pixels: NDArray[np.uint8]):
    return lambda w: pixels[w.row : w.row_end, w.col : w.col_end]


@pytest.mark.parametrize("step", [32, 448, 416, 512, 1000, 37, 10_000])
def test_any_chunking_gives_the_same_pixels_and_bytes(tmp_path: Path, step: int) -> None:
    labels = _labels(1100, 903)
    grid = _grid(1100, 903)
    windows = list(grid.window.blocks(step, step)) if step != 37 else list(grid.window.blocks(370, 37))
    path = publish_cog(
        tmp_path / "classes.tif",
        grid,
        _reader(labels),
        windows,
        NAMED,
        digests={w: digest(_reader(labels)(w)) for w in windows},
    )
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), labels)
        assert file.overviews(1) == [2, 4]
    assert cog_problems(path) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classes.tif"]
    reference = publish_cog(tmp_path / "again.tif", grid, _reader(labels), [grid.window], NAMED)
    digests = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (path, reference)}
    assert len(digests) == 1


def test_what_a_gis_finds_in_the_file(tmp_path: Path) -> None:
    grid = _grid(700, 800)
    path = publish_cog(
        tmp_path / "classes.tif", grid, _reader(_labels(700, 800)), [grid.window],
        RasterLayer(legend=LEGEND, tags={"GEOSEG_RUN": "abc"}, description="land use"),
    )  # fmt: skip
    with rasterio.open(path) as file:
        assert file.profile["compress"] == "deflate"
        assert file.block_shapes == [(512, 512)]
        assert file.nodata == 255
        assert file.descriptions == ("land use",)
        assert file.colorinterp[0].name == "palette"
        colors = file.colormap(1)
        assert (colors[0], colors[1], colors[255]) == ((0, 0, 255, 255), (0, 170, 0, 255), (0, 0, 0, 0))
        tags = file.tags()
        assert tags["CLASS_1"] == "Wald & <Forst>"
        assert tags["GEOSEG_RUN"] == "abc"
        assert tags["AREA_OR_POINT"] == "Area"
        assert tags["TIFFTAG_SOFTWARE"] == f"geoseg {__version__}"
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.transform == grid.transform
        assert file.crs.to_epsg() == 32633
    again = open_class_map(path)
    assert again.legend == LEGEND
    assert again.grid.difference(grid) is None


def test_overviews_invent_no_class(tmp_path: Path) -> None:
    grid = _grid(1500, 1500)
    for name, legend in (("legend", LEGEND), ("plain", None)):
        path = publish_cog(
            tmp_path / f"{name}.tif",
            grid,
            _reader(_labels(1500, 1500)),
            [grid.window],
            RasterLayer(legend=legend),
        )
        for level in (0, 1):
            with rasterio.open(path, overview_level=level) as file:
                assert set(np.unique(file.read(1))) <= {0, 1, 4, 255}


def test_the_crs_of_the_source_is_written_as_it_is(tmp_path: Path) -> None:
    source = write(tmp_path / "source.tif", np.ones((20, 30), np.uint8), crs="ESRI:102039")
    classes = open_class_map(source)
    path = publish_cog(
        tmp_path / "out.tif",
        classes.grid,
        classes.read,
        [classes.grid.window],
        RasterLayer(crs_wkt=classes.crs_wkt),
    )
    with rasterio.open(source) as a, rasterio.open(path) as b:
        assert a.crs == b.crs
        assert a.transform == b.transform


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (33, 4097), (512, 512), (513, 511)])
def test_odd_sizes(tmp_path: Path, shape: tuple[int, int]) -> None:
    labels = _labels(*shape)
    grid = _grid(*shape)
    path = publish_cog(tmp_path / "a.tif", grid, _reader(labels), grid.window.blocks(448, 448), NAMED)
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), labels)


def test_pixels_in_no_window_are_nodata(tmp_path: Path) -> None:
    grid = _grid(900, 900)
    window = Window(448, 448, 452, 452)
    path = publish_cog(tmp_path / "a.tif", grid, _reader(_labels(900, 900)), [window], NAMED)
    with rasterio.open(path) as file:
        read = file.read(1)
    assert (read[:448] == 255).all()
    assert np.array_equal(read[448:, 448:], _labels(900, 900)[448:, 448:])


def test_a_small_part_of_a_large_grid_costs_no_more_than_itself(tmp_path: Path) -> None:
    """Its pixels and overviews are those of the whole grid written block by block."""
    grid, part = _grid(4_608, 6_144), Window(1_500, 3_500, 600, 900)
    labels = _labels(*part.shape)
    layer = RasterLayer(legend=LEGEND, tags={"GEOSEG_RUN": "abc"}, description="land use")
    path = publish_cog(tmp_path / "part.tif", grid, lambda _: labels, [part], layer)
    far = Window(4_607, 6_143, 1, 1)
    read = lambda w: labels if w == part else np.full((1, 1), 255, np.uint8)  # noqa: E731
    whole = publish_cog(tmp_path / "whole.tif", grid, read, [part, far], layer)
    assert path.stat().st_size < whole.stat().st_size
    assert cog_problems(path) == []
    for level in (None, 0, 1, 3):
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(path, **options) as one, rasterio.open(whole, **options) as other:
            np.testing.assert_array_equal(one.read(1), other.read(1))
            assert (one.tags(), one.colormap(1), one.descriptions) == (
                other.tags(), other.colormap(1), other.descriptions,
            )  # fmt: skip
            assert (one.transform, one.crs, one.nodata) == (other.transform, other.crs, other.nodata)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part.tif", "whole.tif"]


def test_other_types_and_no_nodata(tmp_path: Path) -> None:
    grid = _grid(600, 600)
    pixels = np.arange(360_000, dtype=np.uint16).reshape(600, 600)
    path = publish_cog(
        tmp_path / "a.tif",
        grid,
        _reader(pixels),
        [grid.window],
        RasterLayer(dtype="uint16", nodata=None, resampling="average"),
    )
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), pixels)
        assert file.nodata is None


# --- what can go wrong


def test_existing_targets_and_missing_folders(tmp_path: Path) -> None:
    grid = _grid(20, 20)
    target = tmp_path / "a.tif"
    target.write_text("mine")
    with pytest.raises(OutputConflictError, match=r"exists.*`overwrite`"):
        publish_cog(target, grid, _reader(_labels(20, 20)), [grid.window])
    assert target.read_text() == "mine"
    publish_cog(target, grid, _reader(_labels(20, 20)), [grid.window], overwrite=True)
    with pytest.raises(OutputConflictError, match="no writable folder"):
        publish_cog(tmp_path / "b" / "a.tif", grid, _reader(_labels(20, 20)), [grid.window])


def test_a_changed_chunk_is_not_published(tmp_path: Path) -> None:
    grid = _grid(900, 900)
    labels = _labels(900, 900)
    windows = list(grid.window.blocks(448, 448))
    digests = {w: digest(_reader(labels)(w)) for w in windows}
    changed = labels.copy()
    changed[500, 500] ^= 1
    with pytest.raises(GeosegError, match="chunk at row 448 column 448 is not what was computed"):
        publish_cog(tmp_path / "a.tif", grid, _reader(changed), windows, digests=digests)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_reader_leaves_nothing(tmp_path: Path) -> None:
    def read(window: Window) -> NDArray[np.uint8]:
        if window.row:
            raise KeyboardInterrupt
        return np.zeros(window.shape, np.uint8)

    grid = _grid(900, 900)
    with pytest.raises(KeyboardInterrupt):
        publish_cog(tmp_path / "a.tif", grid, read, grid.window.blocks(448, 448))
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_change_on_the_disk_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = cog._copy_as_cog

    def and_damage(source: Path, target: Path, **options: str) -> None:
        copy(source, target, **options)
        data = bytearray(target.read_bytes())
        data[-2000] ^= 16
        target.write_bytes(data)

    monkeypatch.setattr(cog, "_copy_as_cog", and_damage)
    grid = _grid(900, 900)
    with pytest.raises(ResourceError):
        publish_cog(tmp_path / "a.tif", grid, _reader(_labels(900, 900)), [grid.window], NAMED)
    assert list(tmp_path.iterdir()) == []


_FULL = """
import resource, signal, sys
import numpy as np
from affine import Affine
from pyproj import CRS
from geoseg.errors import ResourceError
from geoseg.geometry import Grid, Window
from geoseg.raster.cog import publish_cog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
grid = Grid(crs=CRS(32633), transform=Affine(10, 0, 5e5, 0, -10, 5e6), height=1000, width=1000)
labels = np.random.default_rng(0).integers(0, 5, (1000, 1000)).astype(np.uint8)
read = lambda w: labels[w.row : w.row_end, w.col : w.col_end]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
windows = list(grid.window.blocks(448, 448))
if sys.argv[2] == "part":  # of a much larger grid
    grid = Grid(crs=grid.crs, transform=grid.transform, height=2500, width=2500)
    windows = [Window(448, 448, 448, 448)]
whole = publish_cog(sys.argv[1] + "/whole.tif", grid, read, windows).stat().st_size
refused = 0
for size in [0, 1000, *range(whole // 8, whole, whole // 10), whole * 7 // 10, whole - 3000, whole - 1]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        publish_cog(f"{sys.argv[1]}/{size}.tif", grid, read, windows)
    except ResourceError as error:
        assert error.exit_code == 5
        refused += 1
    else:
        raise SystemExit(f"published although files may hold {size} of {whole} bytes")
print(refused)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes by setrlimit")
@pytest.mark.parametrize("what", ["whole", "part"])
def test_a_full_disk_publishes_nothing(tmp_path: Path, what: str) -> None:
    """The limit on file sizes stands in for a full disk: the same writes fail, at every stage."""
    run = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path), what],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ.copy(),
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert int(run.stdout) > 5
    assert [p.name for p in tmp_path.iterdir()] == ["whole.tif"]


def test_what_is_no_cog_is_told(tmp_path: Path) -> None:
    strips = write(tmp_path / "strips.tif", _labels(1200, 1500))
    assert "no overviews" in cog_problems(strips)
    tiled = write(tmp_path / "tiled.tif", _labels(1200, 1500), tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(tiled, "r+") as file:
        file.build_overviews([2, 4])
    assert cog_problems(tiled)
