from __future__ import annotations

import ast
import os
import pickle
import random
import socket
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.errors import GeosegError, InputError
from geoseg.geometry import Window
from geoseg.raster import open as opening
from geoseg.raster.open import close_handles, driver_of, local_file, open_raster, vrt_sources
from geoseg.raster.opening import open_scene
from tests.raster.makers import TRANSFORM, coordinates, write

VRT = """<VRTDataset rasterXSize="30" rasterYSize="20"><SRS>EPSG:32633</SRS>
<GeoTransform>500000,10,0,5000000,0,-10</GeoTransform>
<VRTRasterBand dataType="UInt32" band="1"><SimpleSource>
<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.fixture(autouse=True)
def _close():
    yield
    close_handles()


def test_no_other_module_opens_rasters_for_reading() -> None:
    folder = Path(geoseg.__file__).parent
    offenders = [
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"rasterio.open", "rasterio.io.DatasetReader"}
        and (len(node.args) < 2 or ast.unparse(node.args[1]) not in {"'w'", "'r+'"})  # its own files
    ]
    assert offenders == ["raster/open.py"]


@pytest.mark.parametrize(
    "path",
    [
        "/vsicurl/http://127.0.0.1:9/a.tif",
        "/vsis3/bucket/a.tif",
        "/vsizip/a.zip/a.tif",
        "/vsizip//vsicurl/http://127.0.0.1:9/a.zip/a.tif",
        "/vsisubfile/0_100,/tmp/a.tif",
        "/vsimem/a.tif",
        "http://127.0.0.1:9/a.tif",
        "https://127.0.0.1:9/a.tif?token=1",
        "s3://bucket/a.tif",
        "zip://a.zip!a.tif",
        "GTIFF_DIR:1:/tmp/a.tif",
        "NETCDF:/tmp/a.nc:v",
        "<VRTDataset/>",
        "a\0b.tif",
    ],
)
def test_only_local_files_are_opened(path: str) -> None:
    with pytest.raises(InputError, match=r"not a local file|not found|NUL"):
        open_scene(path)


def test_missing_folder_empty_and_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.tif: not found"):
        open_scene(tmp_path / "nowhere.tif")
    with pytest.raises(InputError, match=r"no rasters in the folder"):
        open_scene(tmp_path)
    (tmp_path / "empty.tif").touch()
    with pytest.raises(InputError, match=r"0 bytes"):
        open_scene(tmp_path / "empty.tif")
    (tmp_path / "text.tif").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(InputError, match=r"content is text"):
        open_scene(tmp_path / "text.tif")
    (tmp_path / "noise.tif").write_bytes(bytes(range(128, 256)) * 20)
    with pytest.raises(InputError, match=r"unknown binary"):
        open_scene(tmp_path / "noise.tif")
    (tmp_path / "header.tif").write_bytes(b"II*\x00" + bytes(40))
    with pytest.raises(InputError, match=r"damaged"):
        open_scene(tmp_path / "header.tif")
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(InputError, match=r"not a regular file"):
        open_scene(tmp_path / "pipe.tif")


@pytest.mark.parametrize(
    ("head", "driver"),
    [(b"II*\0", "GTiff"), (b"MM\0+", "GTiff"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff\xe0", "JPEG")],
)
def test_the_driver_follows_the_content_not_the_name(tmp_path: Path, head: bytes, driver: str) -> None:
    (tmp_path / "x.jp2").write_bytes(head + bytes(20))
    assert driver_of(tmp_path / "x.jp2") == driver


def test_a_disguised_vrt_reaches_no_host(tmp_path: Path) -> None:
    """A canary counts connections while files that name it are opened in every way."""
    with socket.socket() as canary:
        canary.bind(("127.0.0.1", 0))
        canary.listen()
        canary.settimeout(0.3)
        host = f"http://127.0.0.1:{canary.getsockname()[1]}"
        good = write(tmp_path / "good.tif", coordinates(20, 30, 1))
        wms = f"<GDAL_WMS><Service name='TMS'><ServerUrl>{host}/</ServerUrl></Service></GDAL_WMS>"
        hostile = {
            "vrt.tif": VRT.format(relative=0, source=f"/vsicurl/{host}/a.tif"),
            "url.vrt": VRT.format(relative=0, source=f"{host}/a.tif"),
            "wms.tif": wms,
            "inline.vrt": VRT.format(relative=0, source=wms.replace("<", "&lt;")),
            "good.tif.ovr": VRT.format(relative=0, source=f"/vsicurl/{host}/a.tif"),
            "good.tif.msk": VRT.format(relative=0, source=f"/vsicurl/{host}/a.tif"),
            "good.tif.aux.xml": f"<PAMDataset><SRS>EPSG:4326</SRS><!-- {host} --></PAMDataset>",
        }
        for name, text in hostile.items():
            (tmp_path / name).write_text(text)
        refused = 0
        for name in hostile:
            for allow in (False, True):
                try:
                    open_scene(tmp_path / name, allow_vrt=allow)
                except InputError:
                    refused += 1
        assert refused == 2 * len(hostile)
        scene = open_scene(good)
        assert scene.grid.crs.to_epsg() == 32633
        assert scene.read(scene.grid.window)[1].all()
        assert any("ignored" in note and "good.tif.ovr" in note for note in scene.notes)
        with pytest.raises(TimeoutError):
            canary.accept()


def test_vrt_by_opt_in_only(tmp_path: Path) -> None:
    pixels = coordinates(20, 30, 1)
    write(tmp_path / "part & 1.tif", pixels)
    (tmp_path / "scene.vrt").write_text(VRT.format(relative=1, source="part &amp; 1.tif"))
    with pytest.raises(InputError, match=r"content is VRT.*`allow_vrt`"):
        open_scene(tmp_path / "scene.vrt")
    scene = open_scene(tmp_path / "scene.vrt", allow_vrt=True)
    assert np.array_equal(scene.read(Window(3, 4, 5, 6))[0], pixels[:, 3:8, 4:10])
    assert vrt_sources(tmp_path / "scene.vrt") == (tmp_path / "part & 1.tif",)
    before = scene.fingerprint()
    assert [f["name"] for f in before["files"]] == ["scene.vrt", "part & 1.tif"]
    write(tmp_path / "part & 1.tif", pixels + 1)
    assert scene.fingerprint() != before


def test_vrt_sources_must_exist_and_be_plain(tmp_path: Path) -> None:
    (tmp_path / "gone.vrt").write_text(VRT.format(relative=1, source="gone.tif"))
    with pytest.raises(InputError, match=r"not found"):
        open_scene(tmp_path / "gone.vrt", allow_vrt=True)
    (tmp_path / "nested.vrt").write_text(VRT.format(relative=1, source="gone.vrt"))
    with pytest.raises(InputError, match=r"content is VRT"):
        open_scene(tmp_path / "nested.vrt", allow_vrt=True)
    (tmp_path / "entity.vrt").write_text(
        '<!DOCTYPE a [<!ENTITY b "c">]>' + VRT.format(relative=1, source="&b;")
    )
    with pytest.raises(GeosegError):
        open_scene(tmp_path / "entity.vrt", allow_vrt=True)


def test_a_block_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tif"
    side = 8208
    write(
        bomb,
        np.zeros((16, 16), np.uint8),
        tiled=True,
        blockxsize=16,
        blockysize=16,
        compress="deflate",
        sparse_ok=True,
    )
    with rasterio.open(
        bomb, "w", driver="GTiff", count=1, height=side, width=side, dtype="uint8", crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 0, 0, -10, 0), tiled=True, blockxsize=side, blockysize=side,
        compress="deflate", sparse_ok=True,
    ):  # fmt: skip
        pass
    assert bomb.stat().st_size < 10_000
    with pytest.raises(InputError, match=r"64 MiB to decompress|decompression limit"):
        open_scene(bomb)


def test_a_scene_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "endless.tif"
    size = {"count": 1, "height": 1_000_000, "width": 1_000_000, "dtype": "uint8"}
    options = {"tiled": True, "blockxsize": 8192, "blockysize": 8192, "sparse_ok": True, "bigtiff": True}
    where = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 0, 0, -10, 0)}
    with rasterio.open(path, "w", driver="GTiff", **size, **options, **where):
        pass
    with pytest.raises(InputError, match=r"too many pixels.*1000000 x 1000000, the limit is 1e\+11"):
        open_scene(path)


def test_damaged_files_give_pixels_or_errors_and_nothing_else(tmp_path: Path) -> None:
    """Bytes of headers and blocks are changed at random; other exceptions than ours fail the test."""
    tiled = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
    sound = [
        write(tmp_path / "a.tif", coordinates(40, 50), nodata=7, names=("a", "b"), **tiled),
        write(tmp_path / "b.tif", np.ones((3, 20, 30), np.float32), compress="lzw", nodata=np.nan),
        write(
            tmp_path / "c.tif", np.ones((20, 30), np.uint8), colors={1: (1, 2, 3, 255)}, tags={"CLASS_1": "x"}
        ),
        write(
            tmp_path / "d.tif", np.ones((4, 33, 30), np.uint8), photometric="RGB", alpha="YES", BIGTIFF="YES"
        ),
    ]
    contents = [path.read_bytes() for path in sound]
    rng = random.Random(0)
    opened = 0
    for _ in range(300):
        data = bytearray(rng.choice(contents))
        for _ in range(rng.choice([1, 2, 6])):
            place = rng.randrange(4, min(len(data), rng.choice([400, len(data)])))
            data[place] = rng.choice([0, 1, 127, 128, 255, data[place] ^ 1 << rng.randrange(8)])
        (tmp_path / "damaged.tif").write_bytes(data)
        try:
            scene = open_scene(tmp_path / "damaged.tif")
            scene.read(scene.grid.window.intersect(Window(0, 0, 1000, 1000)))
            opened += 1
        except GeosegError:
            pass
    assert 50 < opened < 280


def test_one_handle_per_thread_and_no_more_than_the_limit(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{i}.tif", coordinates(4, 5, 1)) for i in range(opening.HANDLES + 5)]
    first = open_raster(files[0])
    assert open_raster(files[0]) is first
    others = []
    thread = threading.Thread(target=lambda: others.append(open_raster(files[0])))
    thread.start()
    thread.join()
    assert others[0] is not first
    for file in files[1:]:
        open_raster(file)
    assert first.closed
    assert len(opening._handles.open) == opening.HANDLES
    assert not open_raster(files[0]).closed


def test_many_threads_read_the_same_pixels(tmp_path: Path) -> None:
    pixels = coordinates(256, 256)
    scene = open_scene(write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=64, blockysize=64))
    wrong = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(50):
            row, col = (int(n) for n in rng.integers(0, 200, 2))
            if not np.array_equal(
                scene.read(Window(row, col, 50, 40))[0], pixels[:, row : row + 50, col : col + 40]
            ):
                wrong.append((row, col))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_replaced_file_is_opened_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", coordinates(4, 5, 1))
    scene = open_scene(path)
    write(tmp_path / "b.tif", coordinates(4, 5, 1) + 7).replace(path)
    assert scene.read(scene.grid.window)[0][0, 0, 0] == 7
    assert len([k for k in opening._handles.open if k[0] == str(path)]) == 1


def test_open_files_do_not_grow(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", coordinates(4, 5, 1))
    table = Path("/proc/self/fd")
    count = len(list(table.iterdir())) if table.exists() else 0
    for _ in range(100):
        open_scene(path).read(Window(0, 0, 4, 5))
        close_handles()
    if count:
        assert len(list(table.iterdir())) <= count + 1


def test_a_forked_child_does_not_touch_its_parents_handles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.tif", coordinates(4, 5, 1))
    mine = open_raster(path)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert open_raster(path) is not mine
    assert not mine.closed


def test_a_scene_survives_pickling(tmp_path: Path) -> None:
    pixels = coordinates(8, 9)
    scene = open_scene(write(tmp_path / "a.tif", pixels))
    scene.read(Window(0, 0, 2, 2))
    again = pickle.loads(pickle.dumps(scene))
    assert again == scene
    assert np.array_equal(again.read(again.grid.window)[0], pixels)


@pytest.mark.parametrize("name", ["a b?c#d.tif", "ä,ß[1].tif", "x!y.tif", "a:b.tif", "http:x.tif"])
def test_names_are_only_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "plain.tif", coordinates(4, 5, 1)).rename(tmp_path / name)
    assert open_scene(path).paths == (path,)
    monkeypatch.chdir(tmp_path)
    assert open_scene(name).paths == (path,)
    assert local_file(name) == path


def test_no_warning_escapes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", coordinates(4, 5, 1), crs=None, transform=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"no georeferencing"):
            open_scene(path)
        assert open_scene(path, assume_crs=32633, assume_transform="10,0,0,0,-10,0").count == 1


@pytest.mark.parametrize(("across", "refused"), [(1024, False), (12_000, True)])
def test_a_jpeg_2000_of_one_huge_tile_is_refused(tmp_path: Path, across: int, refused: bool) -> None:
    """The sizes of image and tiles are written into the header of a small file: only they are judged."""
    path = tmp_path / "a.jp2"
    profile = {"driver": "JP2OpenJPEG", "count": 1, "height": 256, "width": 256, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=TRANSFORM) as file:
        file.write(np.ones((1, 256, 256), np.uint8))
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">2I", content, at + 8, 12_000, 12_000)
    struct.pack_into(">2I", content, at + 24, across, across)
    path.write_bytes(content)
    if refused:
        with pytest.raises(InputError, match="one tile of 12000 x 12000 pixels"):
            opening._check_codestream(path)
    else:
        opening._check_codestream(path)
