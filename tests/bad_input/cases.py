"""Every bad input, by kind."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bad_input.case import Case
from tests.bad_input.class_maps import class_maps
from tests.bad_input.models import models
from tests.bad_input.outputs import outputs
from tests.bad_input.prompts import prompts
from tests.bad_input.rasters import rasters
from tests.bad_input.references import references
from tests.bad_input.settings import settings


def cases() -> Iterator[Case]:
    """All of them, in the order of the page."""
    yield from rasters()
    yield from class_maps()
    yield from references()
    yield from models()
    yield from prompts()
    yield from settings()
    yield from outputs()
