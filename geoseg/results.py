"""What verbs give back, as JSON: one manner for every result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np


def as_json(result: Any, **further: Any) -> dict[str, Any]:
    """Fields of a dataclass by name, and `further` values, JSON-ready: the body of a result's `to_json`."""
    own = {field.name: getattr(result, field.name) for field in fields(result)}
    return {name: json_ready(value) for name, value in {**own, **further}.items()}


def json_ready(value: Any) -> Any:
    """Value as JSON holds it: NaN and infinity null, paths and keys text, arrays and tuples lists.

    What has a `to_json` is asked for it; other dataclasses become their fields.

    Raises
    ------
    TypeError
        A value that has no such form.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, np.generic | np.ndarray):
        return json_ready(value.tolist())
    if hasattr(value, "to_json"):
        return json_ready(value.to_json())
    if is_dataclass(value):
        return as_json(value)
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [json_ready(item) for item in value]
    raise TypeError(f"no JSON form of {type(value).__name__}")
