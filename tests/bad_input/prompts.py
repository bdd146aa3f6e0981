"""Prompts that mean nothing on a scene."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import shapely

from tests.bad_input.case import ONES, Case, model, polygons, raster

PROMPT = "prompt a.tif p.gpkg --model model --out out.gpkg"


def promptable() -> None:
    """A sound scene and points on it, and a promptable model as far as its description goes."""
    raster(ONES * 90)
    places = [shapely.Point(500_200, 4_999_500), shapely.Point(500_300, 4_999_400)]
    polygons("p.gpkg", shapes=places, own=[1, 2])

    def change(content: dict[str, Any]) -> None:
        content |= {"task": "promptable", "format_version": 2}

    model(change)


def with_lines() -> None:
    promptable()
    polygons("p.gpkg", shapes=[shapely.LineString([(500_200, 4_999_500), (500_300, 4_999_400)])], own=[1])


def nowhere() -> None:
    promptable()
    raster(ONES * 90, crs=None, transform=None)


def prompts() -> Iterator[Case]:
    """Prompts and models that answer them."""
    yield Case(
        what="prompts that are lines",
        make=with_lines,
        command=PROMPT,
        code=3,
        says=("polygons or points required", "LineString"),
    )
    yield Case(
        what="a group by a field that the prompts lack",
        make=promptable,
        command=f"{PROMPT} --group object",
        code=2,
        says=("no field 'object'", "fields are own"),
    )
    yield Case(
        what="prompts on a scene that lies nowhere",
        make=nowhere,
        command=PROMPT,
        code=3,
        says=("coordinate", "a.tif"),
    )
    yield Case(
        what="prompts for a model of classes",
        make=promptable,
        command="prompt a.tif p.gpkg --model MODEL --out out.gpkg",
        code=2,
        says=("answers no prompts", "it is semantic", "geoseg predict"),
    )
    yield Case(
        what="a class map of a model that answers prompts",
        make=promptable,
        command="predict a.tif --model model --out out",
        code=2,
        says=("answers prompts", "geoseg prompt"),
    )
