"""Class maps: any raster of class numbers, or of codes with a crosswalk, as uint8 with 255 for nodata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.legend import NODATA, Legend
from geoseg.raster.open import open_raster, safe_gdal
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.recoding import Recoding, is_coloured
from geoseg.raster.rules import Rules, legend_of_targets, read_crosswalk
from geoseg.raster.scene import Scene
from geoseg.raster.sidecars import Side, read_side

if TYPE_CHECKING:
    import xarray as xr

CLASS_TAG = "CLASS_"
"""Prefix of the metadata items that hold class names: ``CLASS_3=forest``."""

_SCAN = 2048


@dataclass(frozen=True, kw_only=True)
class ClassMap:
    """A raster of class numbers; holds no open file, so it can be pickled.

    Attributes
    ----------
    scene
        The raster behind it.
    declared
        Legend that was given or stands in the file; None if neither.
    colors
        Class number to ``#RRGGBB`` from the file's colour table.
    recoding
        Class of every value of the file; None where values are class numbers.
    """

    scene: Scene
    declared: Legend | None
    colors: Mapping[int, str]
    recoding: Recoding | None = None

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""
        return self.scene.grid

    @property
    def crs_wkt(self) -> str:
        """CRS as the file words it."""
        return self.scene.crs_wkt

    @property
    def path(self) -> Path:
        """The file."""
        return self.scene.paths[0]

    @property
    def nodata(self) -> int:
        """Always 255, whatever the file uses."""
        return NODATA

    @cached_property
    def legend(self) -> Legend:
        """Legend that was given, else the file's own, else one of ``class N`` for the values that occur.

        The last needs one pass over the raster, made on first use.
        """
        if self.declared is not None:
            return self.declared
        values = self.values()
        return Legend.of(
            {v: f"class {v}" for v in values}, {v: c for v, c in self.colors.items() if v in values}
        )

    def recoded(
        self,
        crosswalk: Mapping[Any, Any] | Path,
        legend: Legend | None = None,
        *,
        nodata: float | None = None,
    ) -> ClassMap:
        """The map in other classes.

        Parameters
        ----------
        crosswalk
            ``{value or name in the file: class name, id, or "ignore"}``, or a YAML file of that; ``"*"``
            stands for all other values. Values are whole numbers of any size, or colours like ``"#3C1098"``
            of three bands. A value that it makes a class is no nodata, whatever the file's tag says.
        legend
            The classes that it maps to; None makes them of what it names.
        nodata
            Value that the user calls nodata.

        Raises
        ------
        InputError, UsageError
            A crosswalk that cannot be read, or that names what is not there.
        """
        walk = read_crosswalk(crosswalk) or {}
        legend = legend or legend_of_targets(walk, self.declared, where=self.path)
        rules = Rules.parse(walk, legend)
        if is_coloured(self.scene):
            recoding = Recoding.by_colour(self.scene, rules)
        else:
            recoding = Recoding.by_number(self.scene, rules, self.declared)
        scene = recoding.claimed(self.scene, nodata)
        return replace(self, scene=scene, declared=legend, colors={}, recoding=recoding)

    def values(self) -> tuple[int, ...]:
        """Class numbers that occur, ascending; one pass over the raster in bounded memory."""
        return self._values

    @cached_property
    def _values(self) -> tuple[int, ...]:
        seen = np.zeros(256, np.bool_)
        for window in self.scan_windows():
            seen |= np.bincount(self.read(window).ravel(), minlength=256) > 0
        seen[NODATA] = False
        return tuple(int(v) for v in np.flatnonzero(seen))

    def scan_windows(self) -> Sequence[Window]:
        """Windows that cover the raster and suit its blocks: about 4 million pixels each."""
        with safe_gdal():
            height, width = open_raster(self.path, allow_vrt=self.scene.allow_vrt).block_shapes[0]
        if width >= self.grid.width:  # strips: whole rows, so that no strip is decoded twice
            rows = max(_SCAN * _SCAN // self.grid.width // height, 1) * height
            return list(self.grid.window.blocks(rows, self.grid.width))
        side = max(_SCAN // height, 1) * height, max(_SCAN // width, 1) * width
        return list(self.grid.window.blocks(*side))

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class numbers (h, w) of a window inside the raster; 255 where a pixel is not valid.

        Raises
        ------
        InputError
            A value that is no class number from 0 to 254 or that the crosswalk leaves out, 255 that nothing
            calls nodata, or a block that cannot be read.
        """
        if self.recoding is not None:
            return self.recoding.read(self.scene, window)
        (pixels,), valid = self.scene.read(window)
        if self.scene.nodata != NODATA and (pixels[valid] == NODATA).any():
            raise self._not_nodata(window)
        if pixels.dtype == np.uint8:
            pixels[~valid] = NODATA
            return np.asarray(pixels, np.uint8)
        classes = np.full(pixels.shape, NODATA, np.uint8)
        values = pixels[valid]
        wrong = (values < 0) | (values > NODATA)
        if values.dtype.kind == "f":
            wrong |= values != np.floor(values)
        if wrong.any():
            raise self._not_a_class(values[wrong][0], window)
        classes[valid] = values.astype(np.uint8)
        return classes

    def to_xarray(self, chunks: Any = None) -> xr.DataArray:
        """Lazy DataArray (y, x) of the class numbers, 255 where there is no data, with its CRS."""
        from geoseg.raster.view import placed, windowed_view

        attrs: dict[str, Any] = {"_FillValue": np.uint8(NODATA)}
        if self.declared is not None:
            attrs["flag_values"] = list(self.declared.ids)
            attrs["flag_meanings"] = " ".join(n.replace(" ", "_") for n in self.declared.names)
        view = windowed_view(
            lambda window, _: self.read(window),
            shape=self.grid.shape,
            dtype=np.dtype(np.uint8),
            name=self.path.stem,
            attrs=attrs,
        )
        return placed(view, self.grid, self.crs_wkt, chunks)

    def _not_nodata(self, window: Window) -> InputError:
        return InputError(
            f"value {NODATA} is a class or nodata, and no tag says which",
            where=self.path,
            why=f"in rows {window.row} to {window.row_end}, columns {window.col} to {window.col_end}",
            hint=f"`nodata={NODATA}` if it means no data; if it is a class, `crosswalk=MAP.yaml` with a "
            f"line for every value, like '{NODATA}: building'",
        )

    def _not_a_class(self, value: Any, window: Window) -> InputError:
        whole = float(value).is_integer()
        return InputError(
            f"value {value:g} is not a class number" if whole else f"value {value:g} is not a whole number",
            where=self.path,
            why=f"in rows {window.row} to {window.row_end}, columns {window.col} to {window.col_end}; "
            f"class numbers are 0 to {NODATA - 1}, {NODATA} is nodata",
            hint="if it means no data, say so with a nodata tag (gdal_edit.py -a_nodata VALUE FILE); "
            "otherwise `crosswalk=MAP.yaml` with a line for every value, like '311: forest'"
            if whole
            else "a raster of class numbers, not of measurements or probabilities",
        )


def open_class_map(
    path: str | PathLike[str],
    legend: Legend | Mapping[int, str] | Path | None = None,
    *,
    band: int | str | None = None,
    crosswalk: Mapping[Any, Any] | Path | None = None,
    to_recode: bool = False,
    **reading: Unpack[ReadingOptions],
) -> ClassMap:
    """Class map from any raster of class numbers.

    Parameters
    ----------
    path
        Raster of one band, or of several with `band`; whole numbers of any type.
    legend
        Names and colours; with ``{class number: name}``, or a YAML file of that, colours stay the file's.
        None takes both from the file: ``CLASS_N`` metadata items and the colour table, else the attribute
        table and the categories in its own ``.aux.xml``. A colour table alone names the classes ``class N``.
    band
        Which band of several, by number or name.
    crosswalk
        The file's values, or its names, in other classes; `legend` then names those. See `ClassMap.recoded`.
    to_recode
        Whether the caller will call `ClassMap.recoded`, so that colours may come without a crosswalk.
    reading
        As in `open_scene`. A nodata tag of 0 means that 0 is nodata; 255 is no class without a crosswalk.

    Raises
    ------
    InputError
        A file that cannot be used as it is, or one of several bands without a choice.
    """
    scene = open_scene(path, bands=None if band is None else [band], categorical=True, **reading)
    if scene.count != 1 and not (is_coloured(scene) and (to_recode or crosswalk is not None)):
        raise InputError(
            f"classes stand in one band, found {scene.count}",
            where=scene.name,
            why=", ".join(scene.band_names),
            hint="`band=1`, or another of them by number or name"
            + ('; for colours, `crosswalk` with {"#3C1098": building, ...}' if is_coloured(scene) else ""),
        )
    if scene.scaling != (1.0, 0.0):
        note = (
            f"{scene.paths[0].name}: class numbers are as stored; its scale and offset tags are not applied"
        )
        scene = replace(scene, notes=(*scene.notes, note))
    source = scene.bands[0]
    dataset = open_raster(scene.paths[source.file], allow_vrt=scene.allow_vrt)
    side = read_side(scene.paths[source.file]).get(source.number, Side())
    with safe_gdal():
        colors = _color_table(dataset, source.number) or {
            i: c for i, c in side.colors.items() if 0 <= i < NODATA
        }
        tags = {**dataset.tags(), **dataset.tags(source.number)}
    names = _unique(_class_names(tags) or {i: n for i, n in side.names.items() if 0 <= i < NODATA})
    own = _legend(names, colors)
    if legend is not None and not isinstance(legend, Legend):
        legend = _legend(_given_names(legend), {} if crosswalk is not None else colors)
    if crosswalk is None:
        return ClassMap(scene=scene, declared=legend or own, colors=colors)
    named = ClassMap(scene=scene, declared=own, colors=colors)
    return named.recoded(crosswalk, legend, nodata=reading.get("nodata"))


def _legend(names: Mapping[int, str], colors: Mapping[int, str]) -> Legend | None:
    return Legend.of(names, {i: c for i, c in colors.items() if i in names}) if names else None


def _given_names(given: Mapping[int, str] | Path) -> dict[int, str]:
    """Class number to name, as the user says it; UsageError for what is no number or no name."""
    from geoseg.strict_yaml import read_yaml

    raw = read_yaml(given) if isinstance(given, Path) else given
    where, hint = (given if isinstance(given, Path) else None), "lines like '3: forest'"
    for number, name in raw.items():
        if isinstance(number, bool) or not re.fullmatch(r"-?\d+", str(number)):
            raise UsageError(f"legend keys are class numbers, found {number!r}", where=where, hint=hint)
        if isinstance(name, bool) or not isinstance(name, str | int | float):
            raise UsageError(f"{name!r} is no name of class {number}", where=where, hint=hint)
    return {int(number): str(name) for number, name in raw.items()}


def _color_table(dataset: Any, number: int) -> dict[int, str]:
    try:
        table = dataset.colormap(number)
    except ValueError:  # rasterio's way to say that there is none
        return {}
    return {i: f"#{r:02X}{g:02X}{b:02X}" for i, (r, g, b, _) in table.items() if 0 <= i < NODATA}


def _class_names(tags: Mapping[str, str]) -> dict[int, str]:
    names: dict[int, str] = {}
    for key, value in tags.items():
        number = key.removeprefix(CLASS_TAG)
        if key.startswith(CLASS_TAG) and number.isdecimal() and int(number) < NODATA and value.strip():
            names[int(number)] = value.strip()
    return names


def _unique(names: Mapping[int, str]) -> dict[int, str]:
    """Names of a stranger's file need not be unique; where two are equal, all get their number."""
    if len(set(names.values())) < len(names):
        return {i: f"{name} ({i})" for i, name in names.items()}
    return dict(names)


def tags_of(legend: Legend) -> dict[str, str]:
    """Metadata items that carry a legend's names in a raster."""
    return {f"{CLASS_TAG}{c.id}": c.name for c in legend.classes}


def color_table_of(legend: Legend) -> dict[int, tuple[int, int, int, int]]:
    """Colour table of a legend, red, green, blue, alpha; 255 (nodata) is transparent."""
    table: dict[int, tuple[int, int, int, int]] = {c.id: (*c.rgb, 255) for c in legend.classes}
    table[NODATA] = (0, 0, 0, 0)
    return table
