"""Rows in order of rowid, laid as whole pages at the end of an SQLite file (sqlite.org/fileformat2.html).

A table b-tree that is filled in order needs no search, no journal and no page twice: leaves are filled one
after the other, and an interior page is written as soon as it has its children. Memory is a page or so for
each level of the tree.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GeosegError
from geoseg.kernels import kernel
from geoseg.writers.sqlite.record_format import Records, put_varint, varint_size

_LOCK_BYTE = 1 << 30
"""The page that holds this byte is never used: file locks are taken there (fileformat2, 1.6)."""

_LEAF, _INTERIOR = 13, 5
_LEAF_HEADER, _INTERIOR_HEADER = 8, 12
_CHILD_BYTES = 15  # cell pointer, page number and the longest key


class PageFile:
    """An SQLite database to whose end pages are appended while nobody else has it open."""

    def __init__(self, path: Path, page_size: int) -> None:
        self._file = path.open("r+b")
        self.page_size = page_size
        self._pages = self._file.seek(0, os.SEEK_END) // page_size

    @property
    def next_page(self) -> int:
        """Number of the page that is appended next."""
        return self._pages + 1

    @property
    def lock_page(self) -> int:
        """Number of the page that stays empty."""
        return _LOCK_BYTE // self.page_size + 1

    def append(self, pages: NDArray[np.uint8]) -> None:
        """Append whole pages, numbered from `next_page` on."""
        self._file.write(memoryview(pages))
        self._pages += len(pages) // self.page_size

    def replace(self, page: int, content: NDArray[np.uint8]) -> None:
        """Write a page that is there already."""
        self._file.seek((page - 1) * self.page_size)
        self._file.write(memoryview(content))
        self._file.seek(0, os.SEEK_END)

    def finish(self) -> None:
        """Say in the file's header how many pages there are, and that it changed."""
        self._file.seek(24)
        (counter,) = struct.unpack(">I", self._file.read(4))
        self._file.seek(24)
        self._file.write(struct.pack(">II", counter + 1, self._pages))
        self._file.seek(92)  # the change for which the number of pages holds
        self._file.write(struct.pack(">I", counter + 1))

    def close(self) -> None:
        """Let go of the file; an OSError of what is still to be written is raised."""
        self._file.close()


@contextmanager
def page_file(path: Path) -> Iterator[PageFile]:
    """The pages of a database that is not open elsewhere; complete when the block ends without an error."""
    with path.open("rb") as file:
        header = file.read(100)
    size, reserved, vacuum = struct.unpack_from(">H", header, 16)[0], header[20], header[52:56]
    if header[:16] != b"SQLite format 3\0" or reserved or any(vacuum):
        raise GeosegError("not a plain SQLite file", where=path.name)
    pages = PageFile(path, 65536 if size == 1 else size)
    try:
        yield pages
        pages.finish()
    finally:
        pages.close()


def root_pages(connection: sqlite3.Connection) -> dict[str, int]:
    """Root page of every table."""
    return dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"))


class TablePages:
    """An empty table that is filled in order of rowid.

    Parameters
    ----------
    file
        Where it lies.
    root
        Its root page.
    """

    def __init__(self, file: PageFile, root: int) -> None:
        self._file, self._root = file, root
        self._page = np.zeros(file.page_size, np.uint8)
        self._filled = np.array([0, file.page_size], np.int64)
        self._last = 0
        self._levels: list[list[tuple[int, int]]] = [[]]

    def append(self, keys: NDArray[np.int64], rows: Records) -> None:
        """Add rows; `keys` ascend and are larger than all before."""
        if not len(keys):
            return
        file = self._file
        cells = keys, rows.data, rows.offsets
        pages, leaves, last = _lay(
            self._page, self._filled, cells, self._last, file.next_page, file.lock_page
        )
        self._last = int(keys[-1])
        file.append(pages)
        self._levels[0] += zip(leaves.tolist(), last.tolist(), strict=True)
        self._grow()

    def finish(self) -> None:
        """Write what is left of the tree, the root last."""
        top = _closed(self._page, self._filled, self._file.page_size)
        if self._levels[0]:
            self._levels[0].append((self._put(top), self._last))
            self._grow()
            for depth, children in enumerate(self._levels):
                top = self._interior(children)
                if depth + 1 < len(self._levels):
                    self._levels[depth + 1].append((self._put(top), children[-1][1]))
        self._file.replace(self._root, top)

    def _grow(self) -> None:
        """Write interior pages for the children at hand; two stay, so that no page has a single child."""
        fanout = (self._file.page_size - _INTERIOR_HEADER) // _CHILD_BYTES
        for depth, children in enumerate(self._levels):  # goes on into levels that it adds
            while len(children) >= fanout + 2:
                if depth + 1 == len(self._levels):
                    self._levels.append([])
                full = children[:fanout]
                del children[:fanout]
                self._levels[depth + 1].append((self._put(self._interior(full)), full[-1][1]))

    def _interior(self, children: list[tuple[int, int]]) -> NDArray[np.uint8]:
        numbers, keys = np.array(children, np.int64).T.copy()
        made: NDArray[np.uint8] = _interior(numbers, keys, self._file.page_size)
        return made

    def _put(self, page: NDArray[np.uint8]) -> int:
        if self._file.next_page == self._file.lock_page:
            self._file.append(np.zeros_like(page))
        number = self._file.next_page
        self._file.append(page)
        return number


@kernel("u1[:], i8[:], (i8[:], u1[:], i8[:]), i8, i8, i8")
def _lay(page, filled, cells, last, next_page, lock_page):  # type: ignore[no-untyped-def]
    """(pages, numbers of leaves among them, their last keys); the leaf that is being filled stays in `page`.

    `filled` holds its number of cells and where their content begins, and is changed with it.
    """
    keys, data, offsets = cells
    size = page.shape[0]
    count = _count_pages(size, filled, keys, offsets)
    out = np.zeros((count + 1) * size, np.uint8)  # one more for the lock page
    leaves, ends = np.empty(count, np.int64), np.empty(count, np.int64)
    used, closed = 0, 0
    for i in range(keys.shape[0]):
        length = offsets[i + 1] - offsets[i]
        local = _local(length, size)
        whole = varint_size(length) + varint_size(keys[i]) + local + (4 if local < length else 0)
        if _LEAF_HEADER + 2 * (filled[0] + 1) + whole > filled[1]:
            used += next_page + used == lock_page
            _copy(_closed(page, filled, size), 0, out, used * size, size)
            leaves[closed], ends[closed] = next_page + used, last
            closed += 1
            used += 1
            page[:] = 0
            filled[0], filled[1] = 0, size
        filled[1] -= whole
        _put_number(page, _LEAF_HEADER + 2 * filled[0], filled[1], 2)
        filled[0] += 1
        at = put_varint(page, filled[1], length)
        at = put_varint(page, at, keys[i])
        _copy(data, offsets[i], page, at, local)
        last = keys[i]
        done = offsets[i] + local
        link, into_page = at + local, True
        while done < offsets[i + 1]:
            used += next_page + used == lock_page
            if into_page:
                _put_number(page, link, next_page + used, 4)
            else:
                _put_number(out, link, next_page + used, 4)
            link, into_page = used * size, False
            part = min(offsets[i + 1] - done, size - 4)
            _copy(data, done, out, link + 4, part)
            done += part
            used += 1
    return out[: used * size], leaves[:closed], ends[:closed]


@kernel()
def _count_pages(size, filled, keys, offsets):  # type: ignore[no-untyped-def]
    """Pages that these rows fill, at most."""
    count = 1
    cells, top = filled[0], filled[1]
    for i in range(keys.shape[0]):
        length = offsets[i + 1] - offsets[i]
        local = _local(length, size)
        whole = varint_size(length) + varint_size(keys[i]) + local + (4 if local < length else 0)
        count += -(-(length - local) // (size - 4))
        if _LEAF_HEADER + 2 * (cells + 1) + whole > top:
            count += 1
            cells, top = 0, size
        cells += 1
        top -= whole
    return count


@kernel()
def _local(length, size):  # type: ignore[no-untyped-def]
    """Bytes of a record that stand in its leaf; the others go on in pages of their own (fileformat2, 1.5)."""
    if length <= size - 35:
        return length
    least = (size - 12) * 32 // 255 - 23
    more = least + (length - least) % (size - 4)
    return more if more <= size - 35 else least


@kernel("u1[:], i8[:], i8")
def _closed(page, filled, size):  # type: ignore[no-untyped-def]
    """The page with its header."""
    page[0] = _LEAF
    _put_number(page, 3, filled[0], 2)
    _put_number(page, 5, filled[1] & 0xFFFF, 2)  # 0 stands for 65536
    return page


@kernel("i8[:], i8[:], i8")
def _interior(numbers, keys, size):  # type: ignore[no-untyped-def]
    page = np.zeros(size, np.uint8)
    cells = numbers.shape[0] - 1
    top = size
    for k in range(cells):
        top -= 4 + varint_size(keys[k])
        _put_number(page, _INTERIOR_HEADER + 2 * k, top, 2)
        _put_number(page, top, numbers[k], 4)
        put_varint(page, top + 4, keys[k])
    page[0] = _INTERIOR
    _put_number(page, 3, cells, 2)
    _put_number(page, 5, top & 0xFFFF, 2)
    _put_number(page, 8, numbers[cells], 4)
    return page


@kernel()
def _copy(source, begin, target, at, size):  # type: ignore[no-untyped-def]
    for k in range(size):
        target[at + k] = source[begin + k]


@kernel()
def _put_number(out, at, value, size):  # type: ignore[no-untyped-def]
    for k in range(size):
        out[at + k] = (value >> (8 * (size - 1 - k))) & 0xFF
