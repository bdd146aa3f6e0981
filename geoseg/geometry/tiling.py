"""Tile plans: one global lattice of tiles, whatever the chunks.

The lattice is anchored at the scene's pixel (0, 0). Lattice cell (i, j) is the square of `stride` pixels at
(i * stride, j * stride); the model sees the *tile* around it, wider by `margin` on every side. A chunk is a
whole number of cells, so which tile decides a pixel never depends on chunk size, worker or order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from geoseg.errors import UsageError
from geoseg.geometry.window import Window

Stitch = Literal["crop", "blend"]

DEFAULT_MARGIN = 32
DEFAULT_CHUNK = 4096

# Sides tried when the tile size is left open: large ones waste least on margins, blended ones pay for every
# neighbour around a chunk and stay small.
_AUTO_TILES: dict[Stitch, tuple[int, int]] = {"crop": (512, 1536), "blend": (384, 640)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One forward pass of the model.

    Attributes
    ----------
    row, col
        Index of its lattice cell.
    window
        What the model sees: `tile` x `tile` pixels, reaching outside the scene at the scene's edge.
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
        Side of the window that the model sees.
    margin
        Pixels at a tile's edge that are discarded (crop) or shared with the neighbour (blend).
    chunk
        Side of a chunk; a multiple of `stride`.
    stitch
        ``crop``: each pixel belongs to the tile whose cell holds it. ``blend``: windows of neighbouring
        tiles overlap by twice the margin and are averaged with weights that sum to one.
    """

    height: int
    width: int
    tile: int
    margin: int
    chunk: int
    stitch: Stitch = "crop"

    @property
    def stride(self) -> int:
        """Side of a lattice cell."""
        return self.tile - 2 * self.margin

    @property
    def lattice(self) -> tuple[int, int]:
        """Number of lattice cells down and across."""
        return -(-self.height // self.stride), -(-self.width // self.stride)

    @property
    def chunk_grid(self) -> tuple[int, int]:
        """Number of chunks down and across."""
        return -(-self.height // self.chunk), -(-self.width // self.chunk)

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return self.chunk_grid[0] * self.chunk_grid[1]

    def chunk_at(self, index: int) -> Chunk:
        """Chunk of that row-major index."""
        row, col = divmod(index, self.chunk_grid[1])
        window = Window(row * self.chunk, col * self.chunk, self.chunk, self.chunk)
        return Chunk(index=index, row=row, col=col, window=window.clip(self.height, self.width))

    def iter_chunks(self) -> Iterator[Chunk]:
        """Every chunk in row-major order."""
        return (self.chunk_at(index) for index in range(self.chunks))

    def tile_at(self, row: int, col: int) -> Tile:
        """Tile of lattice cell (row, col)."""
        core = Window(row * self.stride, col * self.stride, self.stride, self.stride)
        return Tile(row=row, col=col, window=core.grow(self.margin), core=core.clip(self.height, self.width))

    def tiles_of(self, chunk: Chunk) -> list[Tile]:
        """Tiles that decide a chunk's pixels, in row-major order.

        With crop: the tiles whose cells it holds. With blend also the ring of tiles around them that
        reach into it; that ring is computed again by the neighbouring chunk.
        """
        reach = self.margin if self.stitch == "blend" else 0
        w, (rows, cols) = chunk.window, self.lattice
        first_row, first_col = ((start - reach) // self.stride for start in (w.row, w.col))
        last_row, last_col = ((end - 1 + reach) // self.stride for end in (w.row_end, w.col_end))
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
        rows, cols = (_passes(n, self) for n in (self.height, self.width))
        return rows * cols

    @property
    def forward_ratio(self) -> float:
        """Forward-pixels per scene-pixel; 1.0 would be no waste at all."""
        return self.forward_tiles * self.tile**2 / (self.height * self.width)


def _passes(size: int, plan: TilePlan) -> int:
    """Tiles along one axis, summed over the chunks of that axis."""
    cells = -(-size // plan.stride)
    if plan.stitch == "crop":
        return cells
    per_chunk = plan.chunk // plan.stride
    starts = range(0, cells, per_chunk)
    reach = -(-plan.margin // plan.stride)
    return sum(
        min(start + per_chunk + reach, _reached(start, per_chunk, size, plan)) - max(start - reach, 0)
        for start in starts
    )


def _reached(start: int, per_chunk: int, size: int, plan: TilePlan) -> int:
    """One past the last cell that reaches into the chunk starting at cell `start`."""
    cells = -(-size // plan.stride)
    end_pixel = min((start + per_chunk) * plan.stride, size)
    return min((end_pixel - 1 + plan.margin) // plan.stride + 1, cells)


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
        Side of the model's window; None chooses the side that wastes least on this scene. The choice looks
        at the scene's size alone, never at the chunk, so that labels do not depend on chunk size.
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
    if tile is None:
        tile = _best_tile(height, width, margin, stitch, multiple)
    if tile < multiple or tile % multiple:
        raise UsageError(
            f"`tile={tile}` does not fit the network",
            why=f"expected a multiple of {multiple}",
            hint=f"`tile={max(round(tile / multiple), 1) * multiple}`",
        )
    least = 4 * margin if stitch == "blend" else 2 * margin + multiple
    if tile < least:
        raise UsageError(
            f"`tile={tile}` is too small for `margin={margin}`",
            why=f"{stitch} needs a tile of at least {least}",
            hint=f"`tile={least}` or a smaller `margin`",
        )
    if chunk < 1:
        raise UsageError(f"`chunk={chunk}` is not positive")
    stride = tile - 2 * margin
    cells = max(chunk // stride, 1)
    return TilePlan(height=height, width=width, tile=tile, margin=margin, chunk=cells * stride, stitch=stitch)


def _best_tile(height: int, width: int, margin: int, stitch: Stitch, multiple: int) -> int:
    """Side with the fewest forward-pixels on this scene; among equals the smallest, for memory."""
    low, high = _AUTO_TILES[stitch]
    least = max(4 * margin, 2 * margin + multiple)
    # a scene smaller than the smallest tile needs only one tile of its own size
    fits = -(-(max(height, width) + 2 * margin) // multiple) * multiple
    sides = range(max(min(low, fits), least), max(high, least) + 1, multiple)

    def cost(side: int) -> tuple[int, int]:
        stride = side - 2 * margin
        return -(-height // stride) * -(-width // stride) * side * side, side

    return min(sides, key=cost)
