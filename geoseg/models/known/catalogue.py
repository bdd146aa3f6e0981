"""The public models that there are recipes for."""

from __future__ import annotations

import difflib

from geoseg.errors import UsageError
from geoseg.models.known import csmask, dynamic_world, segment_anything
from geoseg.models.known.recipe import Recipe

KNOWN: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (dynamic_world.RECIPE, *csmask.RECIPES, *segment_anything.RECIPES)
}
"""Recipes by the name of the model; a line for every new one."""


def recipe_of(name: str) -> Recipe:
    """Recipe of a public model; UsageError names the nearest."""
    if name not in KNOWN:
        near = difflib.get_close_matches(name, KNOWN, n=1)
        raise UsageError(
            f"no recipe for a model {name!r}",
            why=f"known are {', '.join(KNOWN)}",
            hint=f"{near[0]!r}" if near else "geoseg model import, for weights of your own",
        )
    return KNOWN[name]
