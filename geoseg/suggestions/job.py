"""What a suggestion is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from geoseg.raster.reading import Reading


class SuggestJob(Reading):
    """Squares of one class map to label next.

    Attributes
    ----------
    classes
        Class map of a prediction.
    out
        File to write; its suffix is the format.
    confidence
        Confidence in percent on the same grid; by default confidence.tif beside the class map.
    labelled
        Polygons that are labelled already: squares that they touch are not asked for again, and the others
        are chosen to be unlike them.
    layer
        Layer of `labelled` where it has several.
    count
        How many squares.
    side
        Side of a square in pixels.
    crosswalk
        YAML of value or name in the map to class name, number or "ignore". Or a mapping.
    band
        Band of the map where it has several, by number from 1 or by name.
    """

    classes: Path
    out: Path
    confidence: Path | None = None
    labelled: Path | None = None
    layer: str | None = None
    count: Annotated[int, Field(ge=1, le=10_000)] = 20
    side: Annotated[int, Field(ge=16, le=2048)] = 128
    crosswalk: Path | dict[Any, Any] | None = None
    band: int | str | None = None
