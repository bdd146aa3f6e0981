from __future__ import annotations

import hashlib
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import InputError, OutputConflictError
from geoseg.geometry import Window
from geoseg.raster.store import WorkStore, digest

SHAPE, CHUNK = (70, 100), (32, 32)
WINDOWS = list(Window(0, 0, *SHAPE).blocks(*CHUNK))


def _filled(folder: Path) -> tuple[WorkStore, np.ndarray, dict[Window, str]]:
    store = WorkStore.create(
        folder / "w", shape=SHAPE, chunk=CHUNK, layers={"classes": "uint8", "p": (np.uint8, 3)}
    )
    labels = np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.uint8)
    digests = {w: store.write("classes", w, labels[w.row : w.row_end, w.col : w.col_end]) for w in WINDOWS}
    return store, labels, digests


def test_any_window_reads_back(tmp_path: Path) -> None:
    _, labels, digests = _filled(tmp_path)
    store = pickle.loads(pickle.dumps(WorkStore.open(tmp_path / "w")))

    @given(st.integers(0, 69), st.integers(0, 99), st.data())
    @settings(max_examples=25)
    def check(row: int, col: int, data: st.DataObject) -> None:
        w = Window(row, col, data.draw(st.integers(1, 70 - row)), data.draw(st.integers(1, 100 - col)))
        assert np.array_equal(store.read("classes", w), labels[w.row : w.row_end, w.col : w.col_end])

    check()
    for window, expected in digests.items():
        assert digest(store.read_verified("classes", window, expected)) == expected


def test_probabilities_keep_their_depth(tmp_path: Path) -> None:
    store, _, _ = _filled(tmp_path)
    p = np.random.default_rng(1).integers(0, 255, (3, 6, 4)).astype(np.uint8)
    expected = store.write("p", Window(64, 96, 6, 4), p)
    assert np.array_equal(store.read("p", Window(64, 96, 6, 4)), p)
    assert np.array_equal(store.read("p", Window(66, 97, 2, 3)), p[:, 2:4, 1:])
    assert store.read_verified("p", Window(64, 96, 6, 4), expected).shape == (3, 6, 4)
    view = store.to_xarray("p")
    assert view.sizes == {"band": 3, "y": 70, "x": 100}
    assert np.array_equal(view[1:, 64:, 96:].values, p[1:])


def test_the_digest_is_blake2b_of_type_shape_and_bytes() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert digest(array) == hashlib.blake2b(b"|u1(2, 3)" + bytes(range(6)), digest_size=16).hexdigest()
    assert digest(array) != digest(array.reshape(3, 2))
    assert digest(array) != digest(array.view(np.int8))
    assert digest(np.asfortranarray(array)) == digest(array)


def test_a_chunk_full_of_nodata_is_there_and_an_unwritten_one_is_not(tmp_path: Path) -> None:
    store = WorkStore.create(tmp_path / "w", shape=SHAPE, chunk=CHUNK, layers={"classes": "uint8"})
    assert not store.has("classes", WINDOWS[0])
    store.write("classes", WINDOWS[0], np.full((32, 32), 255, np.uint8))
    assert store.has("classes", WINDOWS[0])
    assert (store.read("classes", WINDOWS[0]) == 255).all()
    with pytest.raises(InputError, match=r"chunk row 0 column 1 of 'classes' cannot be used\. missing"):
        store.read("classes", Window(0, 0, 32, 33))


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    store, labels, digests = _filled(tmp_path)
    rng = random.Random(0)
    files = sorted((tmp_path / "w" / "classes" / "c").rglob("*"))
    files = [f for f in files if f.is_file()]
    assert len(files) == len(WINDOWS)
    found = 0
    for _ in range(200):
        file = rng.choice(files)
        row, col = int(file.parent.name), int(file.name)
        window = next(w for w in WINDOWS if (w.row // CHUNK[0], w.col // CHUNK[1]) == (row, col))
        sound = file.read_bytes()
        damaged = bytearray(sound)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged)
        try:
            read = store.read_verified("classes", window, digests[window])
        except InputError as error:
            assert f"chunk row {row} column {col}" in str(error)
            found += 1
        else:  # a zstd frame has a bit or two that no decoder looks at
            assert np.array_equal(read, labels[window.row : window.row_end, window.col : window.col_end])
        file.write_bytes(sound)
    assert found >= 195


def test_truncated_and_swapped_chunks_are_found(tmp_path: Path) -> None:
    store, _, digests = _filled(tmp_path)
    folder = tmp_path / "w" / "classes" / "c"
    (folder / "0" / "0").write_bytes((folder / "0" / "1").read_bytes())
    with pytest.raises(InputError, match="digest"):
        store.read_verified("classes", WINDOWS[0], digests[WINDOWS[0]])
    (folder / "0" / "2").write_bytes((folder / "0" / "2").read_bytes()[:20])
    with pytest.raises(InputError, match="chunk row 0 column 2"):
        store.read("classes", Window(0, 32, 32, 64))
    (folder / "0" / "2").write_bytes(b"")
    with pytest.raises(InputError, match="chunk row 0 column 2"):
        store.read("classes", Window(0, 32, 32, 64))


@pytest.mark.parametrize(
    "window", [Window(0, 0, 16, 32), Window(16, 0, 32, 32), Window(0, 0, 64, 32), Window(64, 96, 6, 3)]
)
def test_only_whole_chunks_are_written(tmp_path: Path, window: Window) -> None:
    store = WorkStore.create(tmp_path / "w", shape=SHAPE, chunk=CHUNK, layers={"classes": "uint8"})
    with pytest.raises(ValueError, match="is not one chunk"):
        store.write("classes", window, np.zeros(window.shape, np.uint8))
    with pytest.raises(ValueError, match="expected uint8"):
        store.write("classes", WINDOWS[0], np.zeros((32, 32), np.int16))


def test_folders_that_are_taken_or_strange(tmp_path: Path) -> None:
    _filled(tmp_path)
    with pytest.raises(OutputConflictError, match="exists"):
        WorkStore.create(tmp_path / "w", shape=SHAPE, chunk=CHUNK, layers={"a": "uint8"})
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="not a work store"):
            WorkStore.open(folder)
    (tmp_path / "w" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="not a work store"):
        WorkStore.open(tmp_path / "w")


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    store = WorkStore.create(tmp_path / "w", shape=SHAPE, chunk=CHUNK, layers={"classes": "uint8"})
    code = (
        "import sys, numpy as np\n"
        "from geoseg.raster.store import WorkStore\n"
        "from geoseg.geometry import Window\n"
        "store = WorkStore.open(sys.argv[1])\n"
        "for i, w in enumerate(Window(0, 0, *store.shape).blocks(*store.chunk)):\n"
        "    if i % 3 == int(sys.argv[2]) or i % 4 == 0:\n"
        "        store.write('classes', w, np.full(w.shape, i, np.uint8))\n"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(store.path), str(i)], env=os.environ.copy()
        )
        for i in range(3)
    ]
    assert [r.wait(60) for r in runs] == [0, 0, 0]
    for i, window in enumerate(WINDOWS):
        assert (store.read("classes", window) == i).all()
    assert not list(store.path.rglob("*partial*"))


def test_a_busy_machine_shows_no_traceback_at_the_end(tmp_path: Path) -> None:
    code = f"""
import time
from geoseg.raster.store import WorkStore
WorkStore.create({str(tmp_path / "s")!r}, shape=(8, 8), chunk=(8, 8), layers={{"classes": "uint8"}})
from zarr.core import sync
sync.loop[0].call_soon_threadsafe(time.sleep, 1)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
