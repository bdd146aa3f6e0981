"""Object rules: which of a network's detections count as objects, and when two tiles saw the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from geoseg.errors import InputError

Task = Literal["semantic", "instance", "panoptic", "promptable"]
"""What a model answers: a class for every pixel, objects, both, or an object for every prompt."""

TASKS: tuple[Task, ...] = ("semantic", "instance", "panoptic", "promptable")

MOST_PER_TILE = 65535
"""Objects of a tile are numbered in 16 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRule:
    """From detections in tiles to objects of a scene.

    Attributes
    ----------
    score
        Least score, 0 to 1.
    mask
        Least probability of an object's pixel, above 0 and at most 1.
    min_pixels
        Least pixels, in a tile and in the scene.
    per_tile
        Most objects of one tile; those with the best scores stay.
    match
        Share of their union, in the band that two tiles both see, that two segments must have in common, and
        more, to be one object; at least a half, so that a segment has one partner at most.
    """

    score: float = 0.5
    mask: float = 0.5
    min_pixels: int = 12
    per_tile: int = 300
    match: float = 0.5

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("score", 0 <= self.score <= 1, "0 to 1"),
            ("mask", 0 < self.mask <= 1, "above 0, at most 1"),
            ("min_pixels", self.min_pixels >= 1, "1 or more"),
            ("per_tile", 1 <= self.per_tile <= MOST_PER_TILE, f"1 to {MOST_PER_TILE}"),
            ("match", 0.5 <= self.match < 1, "0.5 or more, below 1"),
        ):
            if not fits:
                found = getattr(self, name)
                raise InputError(
                    f"{name} of the objects is out of range", why=f"found {found}, expected {expected}"
                )

    def to_json(self) -> dict[str, Any]:
        """Form in ``bundle.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> ObjectRule:
        """Rule from its form in ``bundle.json``; what is missing has its default."""
        known = {"score": float, "mask": float, "min_pixels": int, "per_tile": int, "match": float}
        if unknown := sorted(set(raw) - set(known)):
            raise InputError(f"objects have no field {unknown[0]!r}", why=f"known are {', '.join(known)}")
        return cls(**{name: kind(raw[name]) for name, kind in known.items() if name in raw})
