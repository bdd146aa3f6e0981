"""Spectral indices as ratios of two sums over bands, and which band of a scene plays which role."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from geoseg.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONSTANT = "1"

IndexName = Literal["ndvi", "ndwi", "mndwi", "ndbi", "nbr", "evi"]
"""Keys of `INDICES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A spectral index ``sum(numerator) / sum(denominator)``.

    Attributes
    ----------
    numerator, denominator
        Weight of each role; the role ``1`` is a constant.
    source
        Authors and year.
    low, high
        Colours of its lowest and highest class.
    reflectance
        Whether it means something for reflectance only.
    """

    numerator: Mapping[str, float]
    denominator: Mapping[str, float]
    source: str
    low: str
    high: str
    reflectance: bool = False

    @property
    def roles(self) -> tuple[str, ...]:
        """Bands that it needs."""
        return tuple(r for r in dict.fromkeys([*self.numerator, *self.denominator]) if r != CONSTANT)

    def weights(self, names: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Numerator and denominator as weights (bands + 1,) of bands of these names, the constant last."""
        import numpy as np

        columns = [*names, CONSTANT]
        numerator, denominator = (
            np.array([side.get(name, 0.0) for name in columns], np.float32)
            for side in (self.numerator, self.denominator)
        )
        return numerator, denominator


def _difference(plus: str, minus: str, source: str, low: str, high: str) -> Index:
    return Index(
        numerator=MappingProxyType({plus: 1.0, minus: -1.0}),
        denominator=MappingProxyType({plus: 1.0, minus: 1.0}),
        source=source,
        low=low,
        high=high,
    )


INDICES: dict[str, Index] = {
    "ndvi": _difference("nir", "red", "Rouse et al. 1974", "#d8b365", "#1a7a2e"),
    "ndwi": _difference("green", "nir", "McFeeters 1996", "#d8c9a3", "#1f5fa8"),
    "mndwi": _difference("green", "swir1", "Xu 2006", "#d8c9a3", "#1f5fa8"),
    "ndbi": _difference("swir1", "nir", "Zha et al. 2003", "#4d9a4d", "#b2182b"),
    "nbr": _difference("nir", "swir2", "Key & Benson 2006", "#7f1d1d", "#1a7a2e"),
    "evi": Index(
        numerator=MappingProxyType({"nir": 2.5, "red": -2.5}),
        denominator=MappingProxyType({"nir": 1.0, "red": 6.0, "blue": -7.5, CONSTANT: 1.0}),
        source="Huete et al. 2002",
        low="#d8b365",
        high="#1a7a2e",
        reflectance=True,
    ),
}
"""Known indices; add a line, and its name above."""

ROLES: dict[str, tuple[float, float]] = {
    "blue": (440, 520),
    "green": (520, 600),
    "red": (620, 690),
    "nir": (760, 900),
    "swir1": (1550, 1750),
    "swir2": (2050, 2350),
}
"""Roles with the wavelengths in nm at which a band's centre may lie."""

_SPELLINGS = {"nearinfrared": "nir", "infrared": "nir", "nir08": "nir", "swir16": "swir1", "swir22": "swir2"}
# zero-padded numbers are Sentinel-2's; B4 is red for one sensor, near infrared for another, and not guessed
_SENTINEL2 = {"b02": "blue", "b03": "green", "b04": "red", "b08": "nir", "b11": "swir1", "b12": "swir2"}
_WAVELENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(nm|nanometers?|um|µm|μm|micrometers?)(?![a-z])", re.IGNORECASE)


def role_of(name: str) -> str | None:
    """Role of a band by its name (``NIR``, ``B08``) or by a wavelength in it (``842 nm``), else None."""
    plain = re.sub(r"[\s_.\-]+", "", name).casefold()
    if plain in ROLES:
        return plain
    known = _SPELLINGS.get(plain) or _SENTINEL2.get(plain)
    if known:
        return known
    found = _WAVELENGTH.search(name)
    if found is None:
        return None
    nanometres = float(found[1]) * (1 if found[2].casefold().startswith("n") else 1000)
    return next((role for role, (low, high) in ROLES.items() if low <= nanometres <= high), None)


def name_bands(scene_names: Sequence[str], given: Sequence[str | None]) -> tuple[str, ...]:
    """Names of a model's bands: the role that was given, else the role found, else the scene's own name.

    A role that two bands could play is left to neither, unless it was given.
    """
    found = [role_of(name) for name in scene_names]
    taken = set(given) - {None}
    names = []
    for name, role, said in zip(scene_names, found, given, strict=True):
        alone = role is not None and found.count(role) == 1 and role not in taken
        names.append(said or (role if alone and role else name))
    return tuple(names)


def require_roles(index: str, names: Sequence[str], where: object) -> None:
    """Nothing, if every band of an index is there; UsageError says which is not, and how to name it."""
    missing = [role for role in INDICES[index].roles if role not in names]
    if missing:
        listing = ", ".join(f"{i} {name!r}" for i, name in enumerate(names, 1))
        example = ",".join(f"{role}=NUMBER" for role in INDICES[index].roles)
        raise UsageError(
            f"{index} needs a band {' and '.join(missing)}",
            where=where,
            why=f"bands are {listing}",
            hint=f"`bands={example}`",
        )
