"""Strata for a sample of a change map: the transitions merged to loss, gain and what stayed of one class."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.legend import LandClass
from geoseg.raster.pairs import PairCodes


def strata_yaml(codes: PairCodes, occurring: Sequence[int], chosen: LandClass) -> str:
    """YAML of every code of change.tif that occurs to its stratum, with the transition beside it.

    Strata are loss and gain of the class, stable where it is at both dates, and stable other for all else.
    """
    lines = [f"# strata of {_line(chosen.name)}: value of change.tif, and the stratum of its pixels"]
    for code in occurring:
        i, j = codes.pairs[code]
        before, after = (codes.legend.classes[k] == chosen for k in (i, j))
        name = f"stable {chosen.name}" if before and after else "stable other"
        if before != after:
            name = f"{chosen.name} {'loss' if before else 'gain'}"
        lines.append(f"{code}: {_quoted(name)}  # {_line(codes.name(code))}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + _line(text).replace("'", "''") + "'"


def _line(text: str) -> str:
    return " ".join(text.split())
