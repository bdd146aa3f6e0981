"""Grids: where a raster's pixels lie on the earth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from affine import Affine
from pyproj import CRS, Geod, Transformer

from geoseg.geometry.window import Window

_OFF_PIXELS = 0.01


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A north- or south-up raster grid: coordinate reference system, affine transform, size.

    Attributes
    ----------
    crs
        Coordinate reference system, as pyproj reads it.
    transform
        Affine map from (col, row) at pixel *corners* to (x, y) in `crs`; (0, 0) is the top left corner of
        the first pixel (AREA_OR_POINT=Area, as GDAL's geotransform).
    height, width
        Size in pixels.
    """

    crs: CRS
    transform: Affine
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def window(self) -> Window:
        """The whole grid as a window."""
        return Window(0, 0, self.height, self.width)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(min x, min y, max x, max y) in `crs`."""
        x0, y0 = self.corner(0, 0)
        x1, y1 = self.corner(self.height, self.width)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

    def corner(self, row: Any, col: Any) -> tuple[Any, Any]:
        """(x, y) of the top left corner of pixel (row, col); numbers or arrays."""
        t = self.transform
        return t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f

    def crop(self, window: Window) -> Grid:
        """Grid of a window of this one; pixels stay where they are."""
        x, y = self.corner(window.row, window.col)
        t = self.transform
        return Grid(
            crs=self.crs,
            transform=Affine(t.a, t.b, x, t.d, t.e, y),
            height=window.height,
            width=window.width,
        )

    def finer(self, times: int) -> Grid:
        """Grid over the same ground with `times` x `times` pixels in the place of each."""
        t = self.transform
        return Grid(
            crs=self.crs,
            transform=Affine(t.a / times, t.b / times, t.c, t.d / times, t.e / times, t.f),
            height=self.height * times,
            width=self.width * times,
        )

    @cached_property
    def ground_size(self) -> tuple[float, float]:
        """(width, height) of the centre pixel in metres on the ellipsoid, whatever the CRS."""
        row, col = self.height / 2, self.width / 2
        # several pixels at once, since one pixel of 1e-5 degree is near the resolution of the inverse problem
        step = 8.0
        xs, ys = zip(*(self.corner(row + r, col + c) for r, c in ((0, 0), (0, step), (step, 0))), strict=True)
        lon, lat = to_geographic(self.crs).transform(xs, ys)
        geod = geod_of(self.crs)
        _, _, d = geod.inv([lon[0], lon[0]], [lat[0], lat[0]], [lon[1], lon[2]], [lat[1], lat[2]])
        return float(d[0]) / step, float(d[1]) / step

    @property
    def turn(self) -> float | None:
        """A whole turn of longitude in units of the CRS; None where x is no longitude."""
        if not self.crs.is_geographic:
            return None
        return 2 * np.pi / float(self.crs.axis_info[0].unit_conversion_factor)

    def off_earth(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        """Whether pixel corners lie where the CRS has no place on earth, as beside the globe's outline.

        Shape of `rows` and `cols`, bool. Such a corner has no longitude, or does not come back from it. On
        cylinders a map may run on beyond a whole turn, though: there it is in its place again.
        """
        x, y = self.corner(rows.astype(np.float64), cols.astype(np.float64))
        transformer = to_geographic(self.crs)
        lon, lat = transformer.transform(x, y, errcheck=False)
        back_x, back_y = transformer.transform(lon, lat, direction="INVERSE", errcheck=False)
        other_x, _ = transformer.transform(lon, lat - np.sign(lat + 0.5), direction="INVERSE", errcheck=False)
        across, down = _OFF_PIXELS * abs(self.transform.a), _OFF_PIXELS * abs(self.transform.e)
        comes_back = (abs(back_x - x) <= across) | (abs(other_x - back_x) <= across)
        return np.asarray(~(comes_back & (abs(back_y - y) <= down)))

    def to_json(self) -> dict[str, Any]:
        """CRS (authority and code, else WKT), affine numbers and size, for manifests and reports."""
        authority = self.crs.to_authority()
        return {
            "crs": ":".join(authority) if authority else self.crs.to_wkt(),
            "transform": list(self.transform[:6]),
            "height": self.height,
            "width": self.width,
        }

    def difference(self, other: Grid) -> str | None:
        """First parameter in which two grids differ, in words; None when every pixel lies on its twin.

        Transforms count as equal when no corner of the grid is off by more than a hundredth of a pixel.
        """
        if self.crs != other.crs and not self.crs.equals(other.crs, ignore_axis_order=True):
            return f"CRS {self.crs.name} against {other.crs.name}"
        if self.shape != other.shape:
            return f"size {self.height} x {self.width} against {other.height} x {other.width} rows x columns"
        pixel = max(abs(self.transform.a), abs(self.transform.e))
        for row, col in ((0, 0), (self.height, self.width)):
            (x, y), (u, v) = self.corner(row, col), other.corner(row, col)
            if max(abs(x - u), abs(y - v)) > 0.01 * pixel:
                return f"corner (row {row}, column {col}) at ({x:.6f}, {y:.6f}) against ({u:.6f}, {v:.6f})"
        return None


@lru_cache(maxsize=32)
def to_geographic(crs: CRS) -> Transformer:
    """Transformer from `crs` to longitude and latitude in degrees on its own datum (always x, y order)."""
    geographic = crs.geodetic_crs
    if geographic is None:
        raise ValueError(f"{crs.name} is not tied to the earth")
    return Transformer.from_crs(crs, _in_degrees(geographic), always_xy=True)


def _in_degrees(geographic: CRS) -> CRS:
    """The CRS itself, or one of its datum in degrees where it counts in grads, as France's older ones do."""
    if all(axis.unit_name in ("degree", "metre") for axis in geographic.axis_info):
        return geographic
    said = geographic.to_json_dict()
    said.pop("id", None)
    for axis in said["coordinate_system"]["axis"]:
        axis["unit"] = "degree"
    return CRS.from_json_dict(said)


def geod_of(crs: CRS) -> Geod:
    """Ellipsoid of a CRS, for geodesic lengths and areas."""
    geod = crs.get_geod()
    if geod is None:
        raise ValueError(f"{crs.name} has no ellipsoid")
    return geod


def pixel_index(grid: Grid, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(row, col) as float64 pixel-corner coordinates of points in the grid's CRS."""
    inverse = ~grid.transform
    col = inverse.a * x + inverse.b * y + inverse.c
    row = inverse.d * x + inverse.e * y + inverse.f
    return row, col
