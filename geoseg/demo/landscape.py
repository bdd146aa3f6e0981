"""The land itself at two dates: which class every pixel has, before any sensor looks at it.

Modelled on the "fishbone" settlements of Rondonia: a highway, side roads at right angles every few
kilometres, and lots on both sides of each side road that are cleared from the road backwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.demo.terrain import Field, Mask, River, grain, meander, rough_noise, smooth_noise, wander
from geoseg.legend import LandClass, Legend

FOREST, PASTURE, CROPLAND, WATER, ROAD, BUILT_UP, BARE = range(1, 8)

FRONTIER_LEGEND = Legend(
    (
        LandClass(id=FOREST, name="forest", color="#1B6B2F"),
        LandClass(id=PASTURE, name="pasture", color="#C9D66B"),
        LandClass(id=CROPLAND, name="cropland", color="#F4C542"),
        LandClass(id=WATER, name="water", color="#2C7FB8"),
        LandClass(id=ROAD, name="road", color="#3A3A3A"),
        LandClass(id=BUILT_UP, name="built-up", color="#D7263D"),
        LandClass(id=BARE, name="bare soil", color="#B5622C"),
    )
)
"""Classes of the frontier scenes."""

_SIDES = 2  # the two sides of a road
_LOTS = 256  # more lots than fit along any side road of a scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What stays put between the dates: roads, lots, river and relief, seen from every pixel.

    Attributes
    ----------
    along, across
        Distance in pixels along the highway and from it (signed), float32.
    from_side_road, road_reach
        Distance to the nearest side road (signed), and how far from the highway that road leads, float32.
    lot
        Number of the pixel's lot, int32.
    lots
        How many lot numbers there are.
    from_town
        Distance to the town's centre in town radii, float32.
    """

    along: Field
    across: Field
    from_side_road: Field
    road_reach: Field
    spacing: float
    lot: NDArray[np.int32]
    lots: int
    river: River
    from_town: Field
    relief: Field
    patchy: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Land:
    """One date's land.

    Attributes
    ----------
    classes
        Class ids (height, width) uint8.
    plot
        Number of the field or lot that a pixel is managed with, int32; equal numbers look alike.
    highway
        Where a road is paved.
    sand
        Where bare ground is a river bank.
    """

    classes: NDArray[np.uint8]
    plot: NDArray[np.int32]
    highway: Mask
    sand: Mask


def lay_out(rng: np.random.Generator, shape: tuple[int, int]) -> Layout:
    """Layout of a scene of (height, width) pixels of 10 m."""
    height, width = shape
    size = float(max(shape))
    rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(height * rng.uniform(0.42, 0.58))
    cols = np.arange(width, dtype=np.float32)[None, :] - np.float32(width * rng.uniform(0.42, 0.58))
    bearing = rng.uniform(0.15, 0.5) * rng.choice([-1, 1])
    along = cols * np.float32(np.cos(bearing)) + rows * np.float32(np.sin(bearing))
    across = rows * np.float32(np.cos(bearing)) - cols * np.float32(np.sin(bearing))
    span = int(np.hypot(*shape)) + 64
    across = across - _line(wander(rng, 2 * span, 420, 9), along, span)

    spacing = float(np.clip(0.2 * size, 120, 330))
    roads = int(2 * span / spacing) + 3
    positions = (np.arange(roads) - roads / 2 + rng.uniform(-0.13, 0.13, roads)) * spacing
    road = np.searchsorted((positions[1:] + positions[:-1]) / 2, along).astype(np.int32)
    strays = np.stack([wander(rng, 2 * span, 260, 4) for _ in range(roads)])
    at = np.clip(across.astype(np.int32) + span, 0, 2 * span - 1)
    from_side_road = along - (positions[road] + strays[road, at]).astype(np.float32)

    lot_at = np.stack(
        [_lots(rng, 2 * span, size / 60) for _ in range(roads * _SIDES)]
    )  # (road and side, way along the road)
    half = road * _SIDES + (from_side_road > 0)
    lot = half * _LOTS + lot_at[half, at]
    reach = rng.uniform(0.2, 0.62, (roads, 2)) * size
    road_reach = reach[road, (across > 0).astype(np.int8)].astype(np.float32)

    heading = bearing + np.pi / 2 + rng.uniform(-0.45, 0.45)
    crossing = rng.uniform(-0.28, 0.28)
    through = (height * (0.5 + crossing * np.sin(bearing)), width * (0.5 + crossing * np.cos(bearing)))
    river = meander(rng, shape, heading, through)

    town_road = int(np.argmin(np.abs(positions - rng.uniform(-0.25, 0.25) * width)))
    radius = float(np.clip(0.05 * size, 14, 85))
    from_town = np.hypot(along - positions[town_road], 1.3 * across) / radius
    relief = rough_noise(rng, shape, 210, octaves=5, roughness=0.55)
    return Layout(
        along=np.asarray(along, np.float32),
        across=np.asarray(across, np.float32),
        from_side_road=np.asarray(from_side_road, np.float32),
        road_reach=road_reach,
        spacing=spacing,
        lot=np.asarray(lot, np.int32),
        lots=roads * _SIDES * _LOTS,
        river=river,
        from_town=np.asarray(from_town, np.float32),
        relief=relief,
        patchy=rough_noise(rng, shape, 60, octaves=5, roughness=0.6),
    )


def settle(rng: np.random.Generator, layout: Layout) -> tuple[Land, Land]:
    """The land at the first and the second date; what was cleared stays cleared."""
    n = layout.lots
    away = np.abs(layout.across)
    depth_limit = 0.5 * layout.spacing
    eagerness = rng.beta(1.6, 1.3, n)
    distance_decay = np.exp(-((away / (0.95 * layout.road_reach + 1)) ** 2))
    first, grown, latest = (np.zeros(n) for _ in range(3))
    first[:] = depth_limit * eagerness * rng.uniform(0.35, 1.0, n) * (rng.random(n) < 0.84)
    grown[:] = np.where(rng.random(n) < 0.35, rng.uniform(8, 0.4 * depth_limit, n), 0)
    latest[:] = np.where(rng.random(n) < 0.4, rng.uniform(8, 0.6 * depth_limit, n), 0)
    ragged = 1.6 * layout.patchy
    behind = np.abs(layout.from_side_road) + ragged

    remnant = (layout.patchy > 1.55) | (np.abs(layout.relief + 0.15) < 0.028)
    riparian = layout.river.distance < layout.river.half_width + 9 + 3 * layout.patchy
    roadside = away < (16 + 55 * eagerness)[layout.lot] + ragged
    open_to = [layout.road_reach * share for share in (0.86, 0.93, 1.1)]
    cleared = []
    for depths, limit in zip((first, first + grown, first + grown + latest), open_to, strict=True):
        deep = behind < depths[layout.lot] * distance_decay * 1.25
        cleared.append(
            (((deep & (away < limit)) | roadside) & ~remnant & ~riparian) | (layout.from_town < 1.1)
        )
    managed = _management(rng, layout)
    first_rng, second_rng = rng.spawn(2)
    return (
        _land(first_rng, layout, cleared[0:2], 0, managed),
        _land(second_rng, layout, cleared[1:3], 1, managed),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Management:
    """What owners do with cleared land: fields, farmsteads and ponds, the same places at both dates."""

    cropped: tuple[Mask, Mask]
    plot: NDArray[np.int32]
    farms: Mask
    ponds: Mask
    pits: Mask


def _management(rng: np.random.Generator, layout: Layout) -> _Management:
    shape = layout.lot.shape
    n = layout.lots
    # crops keep to flat land near the highway; a whole lot is cropped or none of it
    zone = smooth_noise(rng, shape, 0.3 * max(shape)) + 1.1 - 2.2 * np.abs(layout.across) / max(shape)
    total = np.bincount(layout.lot.ravel(), zone.ravel(), minlength=n)
    suited = total / np.maximum(np.bincount(layout.lot.ravel(), minlength=n), 1)
    wish = suited + 0.7 * rng.standard_normal(n)
    cropped = tuple((wish > level)[layout.lot] for level in (1.75, 1.45))
    length = rng.uniform(28, 70, n)
    part = (np.abs(layout.from_side_road) / length[layout.lot]).astype(np.int32)
    plot = layout.lot * 16 + np.minimum(part, 15)

    seeds = rng.random(shape, dtype=np.float32)
    near_road = (np.abs(layout.from_side_road) < 9) & (np.abs(layout.from_side_road) > 4)
    farms = ndimage.binary_dilation((seeds < 0.0007) & near_road, np.ones((3, 4)))
    farms &= np.abs(layout.across) < layout.road_reach
    low = (layout.relief < 0.3) & (seeds > 1 - 0.00008)
    size = ndimage.distance_transform_edt(~low) if low.any() else np.full(shape, 99.0)
    ponds = size + 1.4 * layout.patchy < 3.4
    pit = (seeds > 0.5) & (seeds < 0.5 + 1.2e-5) & (np.abs(layout.across) < 90)
    dug = ndimage.distance_transform_edt(~pit) if pit.any() else np.full(shape, 99.0)
    return _Management(
        cropped=(cropped[0], cropped[1]),
        plot=plot,
        farms=farms,
        ponds=ponds,
        pits=dug + 2 * layout.patchy < 7,
    )


def _land(
    rng: np.random.Generator, layout: Layout, cleared: list[Mask], date: int, managed: _Management
) -> Land:
    old, now = cleared[0], cleared[1]
    shape = layout.lot.shape
    river, away = layout.river, np.abs(layout.across)
    classes = np.full(shape, FOREST, np.uint8)
    classes[now] = PASTURE
    fresh = rng.random(layout.lots) < 0.62
    classes[now & ~old & fresh[layout.lot]] = BARE
    classes[now & old & managed.cropped[date]] = CROPLAND
    classes[managed.farms & now] = BUILT_UP
    classes[managed.pits & now] = BARE

    edge = 1.0 + 0.05 * date + 0.16 * layout.patchy
    classes[(layout.from_town < edge) & (layout.from_town < 1.35)] = BUILT_UP
    on_side_road = (np.abs(layout.from_side_road) < 1.05) & (away < layout.road_reach * (0.93 + 0.17 * date))
    # a settler's track has no bridge over the river: it ends at the bank on the far side of the highway
    on_side_road &= river.distance > river.half_width + 4
    classes[on_side_road & (layout.from_town > 0.95)] = ROAD

    classes[managed.ponds & np.isin(classes, (PASTURE, CROPLAND))] = WATER
    shore = river.half_width * (1.0 - 0.05 * date)
    bank = shore + river.inside * np.float32(9 + 2.5 * date) + 0.5 * layout.patchy - 1.0
    # what the falling river lays bare is bare on either side
    sand = (river.distance >= shore) & (river.distance < np.maximum(bank, river.half_width))
    classes[sand] = BARE
    water = river.distance < shore
    islands = (grain(rng, shape, 3.0) + 1.2 * layout.patchy > 4.1) & water & (river.distance > 1.5)
    classes[water] = WATER
    classes[islands] = BARE
    highway = away < 1.7
    classes[highway] = ROAD
    return Land(classes=classes, plot=managed.plot, highway=highway, sand=(sand | islands) & ~highway)


def _line(values: NDArray[np.float64], at: Field, span: int) -> Field:
    """Values of a line that is known at whole pixels from -span on."""
    index = np.clip(at.astype(np.int32) + span, 0, len(values) - 1)
    return np.asarray(values[index], np.float32)


def _lots(rng: np.random.Generator, length: int, least: float) -> NDArray[np.int32]:
    """Lot number of every pixel along one side of a road, 0 to _LOTS - 1."""
    least = max(least, 16.0)
    frontage = least * rng.uniform(0.8, 2.2, int(length / (0.8 * least)) + 2)
    edges = np.cumsum(frontage)
    lots: NDArray[np.int32] = (np.searchsorted(edges, np.arange(length)) % _LOTS).astype(np.int32)
    return lots
