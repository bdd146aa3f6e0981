"""Tile plans: one global lattice of tiles, whatever the chunks.

The lattice is anchored at the scene's pixel (0, 0). Lattice cell (i, j) is the rectangle of `stride` pixels
from (i, j) times `stride` on; the model sees the *tile* around it, wider by `margin` on every side. A chunk
is a whole number of cells, so which tile decides a pixel never depends on chunk size, worker or order. Sides
are pairs, down and across: a square rarely fits both sides of a scene.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, product
from typing import Literal

from geoseg.errors import UsageError
from geoseg.geometry.window import Window

Stitch = Literal["crop", "blend"]

DEFAULT_MARGIN = 32
DEFAULT_CHUNK = 4096

Sides = tuple[int, int]
"""Pixels down and across."""

# Sides tried when the tile size is left open: large ones waste least on margins, blended ones pay for every
# neighbour around a chunk and stay small.
_SIDES: dict[Stitch, tuple[int, int]] = {"crop": (512, 3072), "blend": (384, 640)}
_MOST_PIXELS = 1536**2  # of a tile: what a network holds in memory grows with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One forward pass of the model.

    Attributes
    ----------
    row, col
        Index of its lattice cell.
    window
        What the model sees: a whole tile, reaching outside the scene at the scene's edge.
    core
        Its lattice cell, clipped to the scene.
    """

    row: int
    col: int
    window: Window
    core: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One task and one block of the work store.

    Attributes
    ----------
    index
        Position in row-major order, from 0.
    row, col
        Position in the grid of chunks.
    window
        The pixels it owns, clipped to the scene.
    """

    index: int
    row: int
    col: int
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePlan:
    """How a scene of (height, width) pixels is cut into tiles and chunks.

    Attributes
    ----------
    tile
        Sides of the window that the model sees.
    margin
        Pixels at a tile's edge that are discarded (crop) or shared with the neighbour (blend).
    chunk
        Sides of a chunk; multiples of `stride`.
    stitch
        ``crop``: each pixel belongs to the tile whose cell holds it. ``blend``: windows of neighbouring
        tiles overlap by twice the margin and are averaged with weights that sum to one.
    """

    height: int
    width: int
    tile: Sides
    margin: int
    chunk: Sides
    stitch: Stitch = "crop"

    @property
    def margins(self) -> Sides:
        """Margin down and across: 0 where a cropped tile holds the whole scene, which has no seam there."""
        down, across = (self._margin(size, side) for size, side in self._axes(self.tile))
        return down, across

    @property
    def stride(self) -> Sides:
        """Sides of a lattice cell."""
        (down, across), (above, beside) = self.tile, self.margins
        return down - 2 * above, across - 2 * beside

    @property
    def lattice(self) -> Sides:
        """Number of lattice cells down and across."""
        rows, cols = (-(-size // side) for size, side in self._axes(self.stride))
        return rows, cols

    @property
    def chunk_grid(self) -> Sides:
        """Number of chunks down and across."""
        rows, cols = (-(-size // side) for size, side in self._axes(self.chunk))
        return rows, cols

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return self.chunk_grid[0] * self.chunk_grid[1]

    def chunk_at(self, index: int) -> Chunk:
        """Chunk of that row-major index."""
        row, col = divmod(index, self.chunk_grid[1])
        window = _cell(row, col, self.chunk)
        return Chunk(index=index, row=row, col=col, window=window.clip(self.height, self.width))

    def iter_chunks(self) -> Iterator[Chunk]:
        """Every chunk in row-major order."""
        return (self.chunk_at(index) for index in range(self.chunks))

    def tile_at(self, row: int, col: int) -> Tile:
        """Tile of lattice cell (row, col)."""
        core, (above, beside) = _cell(row, col, self.stride), self.margins
        window = Window(core.row - above, core.col - beside, *self.tile)
        return Tile(row=row, col=col, window=window, core=core.clip(self.height, self.width))

    def tiles_of(self, chunk: Chunk) -> list[Tile]:
        """Tiles that decide a chunk's pixels, in row-major order.

        With crop: the tiles whose cells it holds. With blend also the ring of tiles around them that
        reach into it; that ring is computed again by the neighbouring chunk.
        """
        reach = self.margin if self.stitch == "blend" else 0
        w, (rows, cols), (down, across) = chunk.window, self.lattice, self.stride
        first_row, first_col = (w.row - reach) // down, (w.col - reach) // across
        last_row, last_col = (w.row_end - 1 + reach) // down, (w.col_end - 1 + reach) // across
        return [
            self.tile_at(r, c)
            for r in range(max(first_row, 0), min(last_row, rows - 1) + 1)
            for c in range(max(first_col, 0), min(last_col, cols - 1) + 1)
        ]

    def halo_of(self, chunk: Chunk) -> Window:
        """Pixels that a chunk's tiles see, inside the scene."""
        return self.seen_by(self.tiles_of(chunk))

    def seen_by(self, tiles: Sequence[Tile]) -> Window:
        """Smallest window inside the scene that holds all that these tiles (at least one) see of it."""
        row, col = (min(t.window.row for t in tiles), min(t.window.col for t in tiles))
        row_end, col_end = (max(t.window.row_end for t in tiles), max(t.window.col_end for t in tiles))
        return Window(row, col, row_end - row, col_end - col).clip(self.height, self.width)

    @property
    def forward_tiles(self) -> int:
        """Number of forward passes for the whole scene, rings of blended chunks included."""
        rows, cols = map(self._passes, (self.height, self.width), self.stride, self.chunk)
        return rows * cols

    @property
    def forward_ratio(self) -> float:
        """Forward-pixels per scene-pixel; 1.0 would be no waste at all."""
        return self.forward_tiles * math.prod(self.tile) / (self.height * self.width)

    def _axes(self, sides: Sides) -> Iterator[tuple[int, int]]:
        """(size of the scene, side) down and across."""
        return zip((self.height, self.width), sides, strict=True)

    def _margin(self, size: int, side: int) -> int:
        return 0 if self.stitch == "crop" and size <= side else self.margin

    def _passes(self, size: int, stride: int, chunk: int) -> int:
        """Tiles along one axis, summed over the chunks of that axis."""
        cells = -(-size // stride)
        if self.stitch == "crop":
            return cells
        reach = self.margin
        return sum(
            min((min(start + chunk, size) - 1 + reach) // stride, cells - 1)
            - max((start - reach) // stride, 0)
            + 1
            for start in range(0, size, chunk)
        )


def in_words(sides: Sides) -> str:
    """``across x down``, columns first as every GIS has them."""
    return f"{sides[1]} x {sides[0]}"


def _cell(row: int, col: int, sides: Sides) -> Window:
    return Window(row * sides[0], col * sides[1], *sides)


def plan_tiles(
    height: int,
    width: int,
    *,
    tile: int | None = None,
    margin: int = DEFAULT_MARGIN,
    chunk: int = DEFAULT_CHUNK,
    stitch: Stitch = "crop",
    multiple: int = 32,
) -> TilePlan:
    """Tile plan for a scene.

    Parameters
    ----------
    height, width
        Scene size in pixels.
    tile
        Side of the model's square window; None chooses the sides that waste least on this scene, which need
        not be equal. The choice looks at the scene's size alone, never at the chunk, so that labels do not
        depend on chunk size.
    margin
        Discarded or shared pixels on each side.
    chunk
        Wanted chunk side, rounded to a whole number of lattice cells (at least one).
    stitch
        ``crop`` or ``blend``.
    multiple
        The network's own stride; tile and margin must be multiples of it, so that pooling always falls on
        the same scene pixels.

    Raises
    ------
    UsageError
        A tile, margin or chunk that cannot work, with both numbers.
    """
    if height < 1 or width < 1:
        raise UsageError("scene without pixels", why=f"{height} x {width}")
    if margin < 0 or margin % multiple:
        raise UsageError(
            f"`margin={margin}` does not fit the network",
            why=f"expected a multiple of {multiple}, so that pooling falls on the same pixels in every tile",
            hint=f"`margin={max(round(margin / multiple), 0) * multiple}`",
        )
    least = 4 * margin if stitch == "blend" else 2 * margin + multiple
    if tile is None:
        sides = _best_sides(height, width, margin, stitch, multiple)
    elif tile < multiple or tile % multiple:
        raise UsageError(
            f"`tile={tile}` does not fit the network",
            why=f"expected a multiple of {multiple}",
            hint=f"`tile={max(round(tile / multiple), 1) * multiple}`",
        )
    elif tile < least:
        raise UsageError(
            f"`tile={tile}` is too small for `margin={margin}`",
            why=f"{stitch} needs a tile of at least {least}",
            hint=f"`tile={least}` or a smaller `margin`",
        )
    else:
        sides = tile, tile
    if chunk < 1:
        raise UsageError(f"`chunk={chunk}` is not positive")
    plan = TilePlan(height=height, width=width, tile=sides, margin=margin, chunk=sides, stitch=stitch)
    down, across = (max(chunk // stride, 1) * stride for stride in plan.stride)
    return replace(plan, chunk=(down, across))


def _best_sides(height: int, width: int, margin: int, stitch: Stitch, multiple: int) -> Sides:
    """Sides with the fewest forward-pixels on this scene; among equals the smallest, for memory."""
    least = max(4 * margin, 2 * margin + multiple)
    low, high = (max(side, least) for side in _SIDES[stitch])
    if stitch == "blend":
        # a scene smaller than the smallest tile needs only one tile of its own size
        fits = max(_up(max(height, width) + 2 * margin, multiple), least)
        pairs = [(side, side) for side in range(min(low, fits), high + 1, multiple)]
    else:
        down, across = (
            [_up(max(size, least), multiple), *_shared(size, margin, multiple, (low, high))]
            for size in (height, width)
        )
        pairs = [pair for pair in product(down, across) if math.prod(pair) <= max(_MOST_PIXELS, low * low)]

    def cost(pair: Sides) -> tuple[int, int]:
        plan = TilePlan(height=height, width=width, tile=pair, margin=margin, chunk=pair, stitch=stitch)
        return math.prod(plan.lattice) * math.prod(pair), math.prod(pair)

    return min(pairs, key=cost)


def _shared(size: int, margin: int, multiple: int, limits: tuple[int, int]) -> Iterator[int]:
    """The shortest sides of 2, 3, ... cropped tiles along one axis, within limits."""
    low, high = limits
    for cells in count(2):
        side = _up(-(-size // cells), multiple) + 2 * margin
        if side < low:
            return
        if side <= high and side < size:
            yield side


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
