"""The work store: a Zarr group in which every chunk is written once, by one task, with a checksum."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geoseg.errors import InputError, OutputConflictError, ResourceError
from geoseg.geometry import Window

if TYPE_CHECKING:
    import xarray as xr

_FORMAT = "geoseg work store 1"
FREE = -1
"""In the place of a layer's depth: each chunk holds one array (n,) of a length of its own."""
Layer = DTypeLike | tuple[DTypeLike, int]


def digest(array: NDArray[Any]) -> str:
    """Digest of an array's dtype, shape and bytes: BLAKE2b, 16 bytes, as 32 hex digits."""
    state = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=16)
    state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


@dataclass(frozen=True, kw_only=True)
class WorkStore:
    """Layers of one size in a Zarr v3 group on disk; holds no open file, so it can be pickled.

    A layer is (height, width), or (depth, height, width) with the whole depth in one chunk. One Zarr chunk
    is one chunk of the tile plan, so that many processes can write at once: no chunk is ever shared.
    Every chunk is a file, written under another name and renamed, compressed with zstd and its checksum.
    A layer of depth `FREE` holds what has no place among the pixels, one array for each chunk, as it is.

    Attributes
    ----------
    path
        Folder of the group.
    shape
        (height, width) in pixels.
    chunk
        (height, width) of a chunk in pixels.
    layers
        Name to (dtype, depth); depth 0 for a layer without one, `FREE` for arrays of any length.
    """

    path: Path
    shape: tuple[int, int]
    chunk: tuple[int, int]
    layers: Mapping[str, tuple[str, int]]

    @classmethod
    def create(
        cls, path: str | Path, *, shape: tuple[int, int], chunk: tuple[int, int], layers: Mapping[str, Layer]
    ) -> WorkStore:
        """New store with no chunk written.

        Parameters
        ----------
        path
            Folder to make; must not exist.
        shape
            (height, width) in pixels.
        chunk
            (height, width) of a chunk in pixels.
        layers
            Name to dtype, or to (dtype, depth) for layers such as probabilities.

        Raises
        ------
        OutputConflictError
            The folder exists or cannot be made.
        """
        from zarr.codecs import BytesCodec, ZstdCodec

        folder = Path(path).absolute()
        if folder.exists():
            raise OutputConflictError("work store exists", where=folder)
        known = {name: _layer(kind) for name, kind in layers.items()}
        attributes: dict[str, Any] = {"format": _FORMAT, "shape": list(shape), "chunk": list(chunk)}
        attributes["layers"] = {name: list(kind) for name, kind in known.items()}
        try:
            group = _zarr().create_group(folder, attributes=attributes, zarr_format=3)
            for name, (dtype, depth) in known.items():
                if depth == FREE:
                    (folder / name).mkdir()
                    continue
                group.create_array(
                    name,
                    shape=(depth, *shape) if depth else shape,
                    chunks=(depth, *chunk) if depth else chunk,
                    dtype=dtype,
                    # a chunk that is absent must never read as a class; 255 is nodata
                    fill_value=255 if np.dtype(dtype).kind == "u" else 0,
                    serializer=BytesCodec(endian="little"),
                    compressors=ZstdCodec(level=3, checksum=True),
                    dimension_names=("band", "y", "x") if depth else ("y", "x"),
                    config={"write_empty_chunks": True},
                )
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise OutputConflictError(
                "work store cannot be made", where=folder, why=error.strerror or str(error)
            ) from None
        return cls(path=folder, shape=shape, chunk=chunk, layers=known)

    @classmethod
    def open(cls, path: str | Path) -> WorkStore:
        """Store that `create` made; InputError if the folder holds anything else."""
        from zarr.errors import GroupNotFoundError

        folder = Path(path).absolute()
        try:
            attributes: Any = dict(_zarr().open_group(folder, mode="r").attrs)
            if attributes.get("format") != _FORMAT:
                raise ValueError(f"format {attributes.get('format')!r}")
            height, width = (int(n) for n in attributes["shape"])
            layers = {str(name): (str(d), int(k)) for name, (d, k) in attributes["layers"].items()}
            high, wide = (int(n) for n in attributes["chunk"])
        except (GroupNotFoundError, OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                "not a work store",
                where=folder,
                why=" ".join(str(error).split())[:200],
                hint="start the run anew with `overwrite`",
            ) from None
        return cls(path=folder, shape=(height, width), chunk=(high, wide), layers=layers)

    def write(self, layer: str, window: Window, array: NDArray[Any]) -> str:
        """Digest of an array, once it is stored as the chunk that `window` is.

        Writing the same chunk twice is allowed and leaves the second; readers see the one or the other.

        Raises
        ------
        ValueError
            A window that is not exactly one chunk clipped to the store, or an array that does not fit it.
        ResourceError
            The disk is full or cannot be written.
        """
        row, col = self._chunk_of(window)
        kind, depth = self.layers[layer]
        expected: tuple[int, ...] = (depth, *window.shape) if depth else window.shape
        if depth == FREE:
            expected = (array.size,)
        if array.shape != expected or array.dtype != np.dtype(kind):
            raise ValueError(f"{layer}: {array.dtype} {array.shape}, expected {kind} {expected}")
        rows, cols = window.slices_in(Window(0, 0, *self.shape))
        try:
            if depth == FREE:
                _write_free(self._file(layer, (row, col)), array)
            else:
                self._array(layer)[..., rows, cols] = array
        except OSError as error:
            raise ResourceError(
                f"chunk row {row} column {col} of {layer!r} cannot be written",
                where=self.path,
                why=error.strerror or str(error),
                hint="free some disk space; the same command resumes",
            ) from None
        return digest(array)

    def has(self, layer: str, window: Window) -> bool:
        """Whether every chunk that the window touches is there (not whether it is sound)."""
        return self._missing(layer, window) is None

    def read(self, layer: str, window: Window) -> NDArray[Any]:
        """Pixels (h, w) or (depth, h, w) of any window; the array (n,) of one chunk.

        Raises
        ------
        InputError
            A chunk that is missing or whose checksum does not fit, by row and column.
        """
        if not window or not Window(0, 0, *self.shape).contains(window):
            raise ValueError(f"{window} is not inside {self.shape}")
        missing = self._missing(layer, window)
        if missing is not None:
            raise self._broken(layer, missing, "missing")
        kind, depth = self.layers[layer]
        if depth == FREE:
            return np.fromfile(self._file(layer, self._chunk_of(window)), kind)
        rows, cols = window.slices_in(Window(0, 0, *self.shape))
        try:
            return np.asarray(self._array(layer)[..., rows, cols])
        except (OSError, RuntimeError, ValueError) as error:
            raise self._broken(layer, self._first_broken(layer, window), _short(error)) from None

    def read_verified(self, layer: str, window: Window, expected: str) -> NDArray[Any]:
        """Pixels of a window whose digest is `expected`; InputError names a chunk that differs."""
        array = self.read(layer, window)
        found = digest(array)
        if found != expected:
            where = window.row // self.chunk[0], window.col // self.chunk[1]
            raise self._broken(layer, where, f"digest {found}, expected {expected}")
        return array

    def to_xarray(self, layer: str) -> xr.DataArray:
        """Lazy xarray view of a layer, in pixel coordinates."""
        from geoseg.raster.view import windowed_view

        kind, depth = self.layers[layer]

        def read(window: Window, bands: list[int]) -> NDArray[Any]:
            block = self.read(layer, window)
            return block[bands] if depth else block

        shape = (depth, *self.shape) if depth else self.shape
        return windowed_view(read, shape=shape, dtype=np.dtype(kind), name=layer)

    def _array(self, layer: str) -> Any:
        described = (self.path / layer / "zarr.json").stat()
        return _opened(self.path / layer, described.st_ino, described.st_mtime_ns)

    def _chunk_of(self, window: Window) -> tuple[int, int]:
        row, col = window.row // self.chunk[0], window.col // self.chunk[1]
        if window != self._whole(row, col) or not window:
            raise ValueError(f"{window} is not one chunk of {self.chunk} in {self.shape}")
        return row, col

    def _whole(self, row: int, col: int) -> Window:
        """Pixels of a chunk."""
        high, wide = self.chunk
        return Window(row * high, col * wide, high, wide).clip(*self.shape)

    def _chunks_in(self, window: Window) -> list[tuple[int, int]]:
        high, wide = self.chunk
        rows = range(window.row // high, (window.row_end - 1) // high + 1)
        cols = range(window.col // wide, (window.col_end - 1) // wide + 1)
        return [(r, c) for r in rows for c in cols]

    def _missing(self, layer: str, window: Window) -> tuple[int, int] | None:
        # Zarr reads an absent chunk as its fill value, without a word
        return next((rc for rc in self._chunks_in(window) if not self._file(layer, rc).is_file()), None)

    def _file(self, layer: str, chunk: tuple[int, int]) -> Path:
        prefix = "c/0" if self.layers[layer][1] > 0 else "c"
        return self.path / layer / prefix / str(chunk[0]) / str(chunk[1])

    def _first_broken(self, layer: str, window: Window) -> tuple[int, int]:
        for row, col in self._chunks_in(window):
            rows, cols = self._whole(row, col).slices_in(Window(0, 0, *self.shape))
            try:
                self._array(layer)[..., rows, cols]
            except (OSError, RuntimeError, ValueError):
                return row, col
        return self._chunks_in(window)[0]

    def _broken(self, layer: str, chunk: tuple[int, int], why: str) -> InputError:
        return InputError(
            f"chunk row {chunk[0]} column {chunk[1]} of {layer!r} cannot be used",
            where=self.path,
            why=why,
            hint="resume the run; the chunk is computed again",
        )


def _write_free(file: Path, array: NDArray[Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    array.tofile(partial)
    partial.replace(file)


@lru_cache(maxsize=1)
def _zarr() -> Any:
    """Zarr, the loop ended in peace: it waits 0.2 s and closes the loop under it, a traceback."""
    import zarr
    from zarr.core import sync

    def end() -> None:
        if (loop := sync.loop[0]) is not None and (thread := sync.iothread[0]) is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=60)

    atexit.register(end)  # after Zarr's own, so it runs before
    return zarr


@lru_cache(maxsize=16)
def _opened(path: Path, *_described: int) -> Any:
    """Zarr array of a layer; opening it takes as long as writing a small chunk of it."""
    array: Any = _zarr().open_array(path, mode="r+", zarr_format=3)
    return array.with_config({"write_empty_chunks": True})  # a setting of the writer, not of the store


def _layer(kind: Layer) -> tuple[str, int]:
    dtype, depth = kind if isinstance(kind, tuple) else (kind, 0)
    return np.dtype(dtype).name, int(depth)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
