"""Input contracts: what pixels a model was trained on, and a clear no to pixels that are something else.

A network returns a confident map for any numbers of the right shape. The contract is where a scene with other
bands, another scaling or another resolution is refused before the first forward pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import InputError, UsageError

Level = Literal["", "top of atmosphere", "surface"]
"""What reflectance is: as the sensor saw it, or with the atmosphere taken out; empty where nobody says."""

_OUTSIDE_TOLERATED = 0.01  # clouds and glints exceed the range in any real scene
_FAR_BELOW = 32  # 0..1 against 0..255, or 0..255 against 0..10000, is further apart than this

# The names that providers give to the bands of Sentinel-2 (Level-2A and COG archives)
_ALIASES = {
    "b01": "coastal", "b02": "blue", "b03": "green", "b04": "red", "b05": "rededge1", "b06": "rededge2",
    "b07": "rededge3", "b08": "nir", "b8a": "nir08", "b09": "nir09", "b11": "swir1", "b12": "swir2",
    "r": "red", "g": "green", "b": "blue", "nearinfrared": "nir", "nearir": "nir", "swir16": "swir1",
    "swir22": "swir2",
}  # fmt: skip

# Numbers without a leading zero, as Earth Engine names bands, mean other colours on other satellites
_NUMBERED = tuple(
    dict(zip(numbers.split(), names.split(), strict=True))
    for numbers, names in (
        (  # Sentinel-2
            "b1 b2 b3 b4 b5 b6 b7 b8 b9",
            "coastal blue green red rededge1 rededge2 rededge3 nir nir09",
        ),
        ("b1 b2 b3 b4 b5 b6 b7", "coastal blue green red nir swir1 swir2"),  # Landsat 8 and 9
        ("srb1 srb2 srb3 srb4 srb5 srb6 srb7", "coastal blue green red nir swir1 swir2"),
        ("b1 b2 b3 b4 b5 b7", "blue green red nir swir1 swir2"),  # Landsat 4 to 7
        ("srb1 srb2 srb3 srb4 srb5 srb7", "blue green red nir swir1 swir2"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One input band of a model.

    Attributes
    ----------
    name
        Short name in lower case ("red", "nir", "vv").
    wavelength_nm
        Centre wavelength in nanometres; None where it has none (radar, elevation).
    description
        Free text ("Sentinel-2 B04").
    value_range
        Smallest and largest raw value to expect of this band alone; None where only that of all is known.
    """

    name: str
    wavelength_nm: float | None = None
    description: str = ""
    value_range: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Form in ``bundle.json``."""
        return {
            "name": self.name,
            "wavelength_nm": self.wavelength_nm,
            "description": self.description,
            **({} if self.value_range is None else {"value_range": list(self.value_range)}),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Band:
        """Band from its form in ``bundle.json``."""
        return cls(
            name=str(raw["name"]),
            wavelength_nm=None if raw.get("wavelength_nm") is None else float(raw["wavelength_nm"]),
            description=str(raw.get("description", "")),
            value_range=None if raw.get("value_range") is None else _pair(raw["value_range"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """Bands that come together or not at all, and that a model learnt to do without."""

    name: str
    bands: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneProfile:
    """What a contract looks at of a scene.

    Attributes
    ----------
    count
        Number of bands that would be fed to the model.
    dtype
        Data type of the scene.
    band_names
        Names in the scene's order, where the file has them.
    pixel_size_m
        Pixel size in metres, or (width, height); None where it is not known.
    value_sample
        Raw values of valid pixels, any shape: what the scaling is judged by. Without it only the data type is
        looked at.
    scaling
        Scale and offset that the file states for its values; (1, 0) for none, None where bands differ.
    level
        What its reflectance is, where the scene says so.
    """

    count: int
    dtype: str | np.dtype[Any]
    band_names: Sequence[str | None] = ()
    pixel_size_m: float | tuple[float, float] | None = None
    value_sample: ArrayLike | None = None
    scaling: tuple[float, float] | None = (1.0, 0.0)
    level: Level = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputContract:
    """What a model takes: ordered bands, data type and scale, normalisation constants, pixel size.

    The engine computes ``x = raw * scale + offset`` and ``(x - mean) / std`` per band, with these constants
    for every tile, never with statistics of the tile.

    Attributes
    ----------
    bands
        In the order in which the network takes them.
    dtype
        numpy name of the data type that the model was trained on.
    value_range
        Smallest and largest raw value to expect.
    scale, offset
        From raw values to the units of `mean` and `std`; 1 and 0 where those are raw values.
    mean, std
        One number per band.
    pixel_size
        Smallest and largest pixel size in metres.
    level
        What reflectance it was trained on; empty where that is not said or it takes something else.
    sensors
        What a scene may lack; bands of none of them are always needed.
    """

    bands: tuple[Band, ...]
    dtype: str
    value_range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixel_size: tuple[float, float]
    scale: float = 1.0
    offset: float = 0.0
    level: Level = ""
    sensors: tuple[Sensor, ...] = ()

    def __post_init__(self) -> None:
        if not self.bands:
            raise InputError("input contract without bands")
        for key in ("mean", "std"):
            values = getattr(self, key)
            if len(values) != len(self.bands):
                raise InputError(
                    f"input contract: {key} does not fit the bands",
                    why=f"found {len(values)} values for {len(self.bands)} bands",
                )
            if not np.isfinite(values).all():
                raise InputError(f"input contract: {key} is not finite", why=f"found {values}")
        for key in ("value_range", "pixel_size", "scale", "offset"):
            if not np.isfinite(getattr(self, key)).all():
                raise InputError(f"input contract: {key} is not finite", why=f"found {getattr(self, key)}")
        if min(self.std) <= 0 or self.scale == 0:
            raise InputError("input contract: std must be positive and scale not zero")
        for key in ("value_range", "pixel_size"):
            low, high = getattr(self, key)
            if not low < high:
                raise InputError(f"input contract: {key} is not ascending", why=f"found {low} to {high}")
        if self.level not in get_args(Level):
            raise InputError("input contract: unknown level", why=f"found {self.level!r}")
        try:
            np.dtype(self.dtype)
        except TypeError:
            raise InputError("input contract: unknown dtype", why=f"found {self.dtype!r}") from None
        self._check_sensors()

    def _check_sensors(self) -> None:
        """InputError for sensors that are not groups of the bands, or that leave none."""
        names, own = self.band_names, [b for sensor in self.sensors for b in sensor.bands]
        strange = next((b for b in own if names.count(b) != 1 or own.count(b) != 1), None)
        if strange is not None:
            bands = ", ".join(names)
            raise InputError(
                f"band {strange!r} is not one band of one sensor", why=f"bands are {bands}, each named once"
            )
        if any(not s.bands or len(s.bands) == len(names) for s in self.sensors):
            raise InputError("a sensor needs bands, and there must be others", why=f"bands are {names}")
        if len({s.name for s in self.sensors}) < len(self.sensors):
            raise InputError("two sensors of one name")

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands in the network's order."""
        return tuple(band.name for band in self.bands)

    @property
    def plain_band_names(self) -> tuple[str, ...]:
        """The same in one spelling, ``B04`` as ``red``: what two contracts are compared by."""
        return tuple(_plain(band.name) for band in self.bands)

    @property
    def fill(self) -> tuple[float, ...]:
        """Raw value per band that normalises to zero: what an invalid pixel is replaced with."""
        return tuple((m - self.offset) / self.scale for m in self.mean)

    @property
    def gain(self) -> NDArray[np.float32]:
        """Factor (C, 1, 1) of ``x = raw * gain + shift``, which is what the network takes."""
        return (self.scale / np.asarray(self.std, np.float64)).astype(np.float32)[:, None, None]

    @property
    def shift(self) -> NDArray[np.float32]:
        """Addend (C, 1, 1) of the same."""
        mean, std = (np.asarray(v, np.float64) for v in (self.mean, self.std))
        return ((self.offset - mean) / std).astype(np.float32)[:, None, None]

    def positions(self, sensors: Sequence[str]) -> tuple[int, ...]:
        """Positions of the bands of some sensors, ascending; UsageError for one that the model needs."""
        known = {sensor.name: sensor.bands for sensor in self.sensors}
        for name in sensors:
            if name not in known:
                words = "; ".join(f"{s.name} ({', '.join(s.bands)})" for s in self.sensors)
                raise UsageError(
                    f"the model cannot do without {name!r}",
                    why=f"it learnt to do without {words}" if words else "it needs all its bands",
                    hint="all its bands" if not words else f"`without={self.sensors[0].name}`",
                )
        gone = {band for name in sensors for band in known[name]}
        if len(gone) == len(self.bands):
            raise UsageError(f"without {', '.join(sensors)} no band is left")
        return tuple(i for i, name in enumerate(self.band_names) if name in gone)

    def without(self, sensors: Sequence[str]) -> InputContract:
        """What is left to be looked at in a scene that lacks some sensors; errors as in `positions`."""
        gone = set(self.positions(sensors))
        if not gone:
            return self
        kept = [i for i in range(len(self.bands)) if i not in gone]
        ranges = [self.bands[i].value_range or self.value_range for i in kept]
        return replace(
            self,
            bands=tuple(self.bands[i] for i in kept),
            mean=tuple(self.mean[i] for i in kept),
            std=tuple(self.std[i] for i in kept),
            value_range=(min(low for low, _ in ranges), max(high for _, high in ranges)),
            sensors=(),
        )

    def to_json(self) -> dict[str, Any]:
        """Form in ``bundle.json``; `from_json` reads it back to an equal contract."""
        return {
            "bands": [band.to_json() for band in self.bands],
            "dtype": self.dtype,
            "value_range": list(self.value_range),
            "scale": self.scale,
            "offset": self.offset,
            "mean": list(self.mean),
            "std": list(self.std),
            "pixel_size": list(self.pixel_size),
            **({"level": self.level} if self.level else {}),
            **({"sensors": {s.name: list(s.bands) for s in self.sensors}} if self.sensors else {}),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> InputContract:
        """Contract from its form in ``bundle.json``."""
        return cls(
            bands=tuple(Band.from_json(b) for b in raw["bands"]),
            dtype=str(raw["dtype"]),
            value_range=_pair(raw["value_range"]),
            scale=float(raw.get("scale", 1.0)),
            offset=float(raw.get("offset", 0.0)),
            mean=tuple(float(v) for v in raw["mean"]),
            std=tuple(float(v) for v in raw["std"]),
            pixel_size=_pair(raw["pixel_size"]),
            level=raw.get("level", ""),
            sensors=tuple(
                Sensor(name=str(name), bands=tuple(map(str, bands)))
                for name, bands in raw.get("sensors", {}).items()
            ),
        )

    def check(self, scene: SceneProfile, *, override: bool = False, where: object = None) -> tuple[str, ...]:
        """Notes worth showing about a scene that fits; a scene that does not fit is refused.

        Parameters
        ----------
        override
            Turn refusals into notes. A wrong number of bands is refused all the same: the network cannot
            take it.
        where
            File named in the error.

        Raises
        ------
        InputError
            Wrong number or order of bands, another scaling of values, a pixel size outside the range, or
            another level.
        """
        wrong_count = self._judge_count(scene.count, scene.band_names)
        if wrong_count is not None:
            raise InputError(wrong_count[0], where=where, why=wrong_count[1], hint=wrong_count[2])
        notes: list[str] = []
        judges: tuple[Callable[[], _Verdict | str | None], ...] = (
            lambda: self._judge_order(scene.band_names),
            lambda: self._judge_values(np.dtype(scene.dtype), scene.value_sample),
            lambda: self._judge_scaling(scene.scaling),
            lambda: self._judge_pixel_size(scene.pixel_size_m),
            lambda: self._judge_level(scene.level),
        )
        for judge in judges:
            verdict = judge()
            if isinstance(verdict, str):
                notes.append(verdict)
            elif verdict is not None and override:
                notes.append(f"{verdict[0]} ({verdict[1]}); used anyway because of `force`")
            elif verdict is not None:
                hint = f"{verdict[2]}, or `force` to use it anyway"
                raise InputError(verdict[0], where=where, why=verdict[1], hint=hint)
        return tuple(notes)

    def _judge_count(self, count: int, names: Sequence[str | None]) -> _Verdict | None:
        needed = len(self.bands)
        if count == needed:
            return None
        why = f"found {count}, the model needs {needed}: {', '.join(self.band_names)}"
        if count < needed:
            fitting = [s.name for s in self.sensors if needed - len(s.bands) == count]
            more = "".join(f", or `without={name}` if that is what is missing" for name in fitting)
            return "too few bands", why, f"a file, or several files together, with all of them{more}"
        order = self.order_among(names)
        if order is not None:
            hint = f"`bands={_listed(order)}`"
        elif self.band_names == ("red", "green", "blue"):
            hint = "`bands=3,2,1` if they start blue, green, red, or `bands=1,2,3` if red, green, blue"
        else:
            hint = f"`bands` with the {needed} band numbers in that order"
        return "wrong number of bands", why, hint

    def _judge_order(self, names: Sequence[str | None]) -> _Verdict | None:
        order = self.order_among(names)
        if order is None or order == tuple(range(1, len(self.bands) + 1)):
            return None
        found = ", ".join(str(n) for n in names)
        why = f"found {found}, the model needs {', '.join(self.band_names)}"
        return "bands in another order", why, f"`bands={_listed(order)}`"

    def order_among(self, names: Sequence[str | None]) -> tuple[int, ...] | None:
        """One-based numbers of the model's bands among named bands; None unless each is found once.

        Bands that are only numbered (B2, SR_B4) are told by the satellites of which they could be, where all
        that have the model's bands among those numbers agree.
        """
        plain = [_plain(n) for n in names]
        wanted = [_plain(n) for n in self.band_names]
        if (order := _positions(wanted, plain)) is not None:
            return order
        possible = {_positions(wanted, [_renamed(n, own) for n in plain]) for own in _NUMBERED} - {None}
        return possible.pop() if len(possible) == 1 else None

    def _judge_values(self, dtype: np.dtype[Any], sample: ArrayLike | None) -> _Verdict | str | None:
        low, high = self.value_range
        expected = f"{self.dtype} values of {low:g} to {high:g}"
        if dtype.kind not in "uif":
            return "data type that the model cannot take", f"found {dtype}, expected {expected}", _RESCALE
        if sample is None:
            same = dtype == np.dtype(self.dtype)
            return None if same else f"values not looked at: {dtype} data, the model expects {expected}"
        values = np.asarray(sample)
        values = values[np.isfinite(values)]
        if values.size == 0:
            return "no valid value to look at"
        found = f"found {dtype} values of {values.min():g} to {values.max():g}, expected {expected}"
        outside = float(np.mean((values < low) | (values > high)))
        if outside > _OUTSIDE_TOLERATED:
            return "values are scaled differently", f"{found} ({outside:.0%} lie outside)", _RESCALE
        if 0 < values.max() - min(low, 0) <= (high - low) / _FAR_BELOW and values.size > 1:
            return "values are scaled differently", f"{found} (they fill a small part of it)", _RESCALE
        return None

    def _judge_scaling(self, scaling: tuple[float, float] | None) -> _Verdict | str | None:
        """The model's own scale and offset are applied, never the file's, which must not contradict them."""
        if scaling == (1.0, 0.0) or (scaling and np.allclose(scaling, (self.scale, self.offset), rtol=1e-6)):
            return None
        stated = "differing between bands" if scaling is None else f"value * {scaling[0]:g} + {scaling[1]:g}"
        if (self.scale, self.offset) == (1.0, 0.0):
            return f"scale and offset of the file ({stated}) not applied: the model takes values as stored"
        own = f"value * {self.scale:g} + {self.offset:g}"
        return "values are scaled differently", f"the file states {stated}, the model takes {own}", _RESCALE

    def _judge_pixel_size(self, size: float | tuple[float, float] | None) -> _Verdict | str | None:
        low, high = self.pixel_size
        if size is None:
            return f"pixel size not known, the model expects {low:g} to {high:g} m"
        sides = (size, size) if isinstance(size, (int, float)) else size
        # the pixel is judged by its area: on the globe its sides differ with latitude
        side = float(np.sqrt(abs(sides[0] * sides[1])))
        if low * 0.99 <= side <= high * 1.01:  # 1 %: rounding of degrees to metres
            return None
        why = f"found {side:.3g} m, the model expects {low:g} to {high:g} m"
        return "pixel size outside the model's range", why, f"resampling to {low:g} to {high:g} m"

    def _judge_level(self, level: Level) -> _Verdict | str | None:
        if not self.level or level == self.level:
            return None
        if not level:
            return f"the scene does not say its level; the model takes {_LEVELS[self.level]}"
        why = f"found {_LEVELS[level]}, the model takes {_LEVELS[self.level]}"
        return "reflectance of another level", why, "the product of that level"


_LEVELS = {
    "top of atmosphere": "top-of-atmosphere reflectance (Level-1)",
    "surface": "surface reflectance (Level-2)",
}

_Verdict = tuple[str, str, str]  # what, why, hint

_RESCALE = "rescaling the scene as the model card says"


def _plain(name: str | None) -> str:
    """Name in one spelling: lower case without separators, provider codes as common names (B04@2: red@2)."""
    text = "".join(itertools.filterfalse(" _-.".__contains__, (name or "").casefold()))
    return _renamed(text, _ALIASES)


def _renamed(name: str, names: Mapping[str, str]) -> str:
    own, at, date = name.partition("@")
    return names.get(own, own) + at + date


def _positions(wanted: Sequence[str], names: Sequence[str]) -> tuple[int, ...] | None:
    if any(names.count(n) != 1 for n in wanted):
        return None
    return tuple(names.index(n) + 1 for n in wanted)


def _listed(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def _pair(values: Sequence[Any]) -> tuple[float, float]:
    low, high = values
    return float(low), float(high)
