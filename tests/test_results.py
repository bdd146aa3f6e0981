"""Every verb's result becomes JSON in one manner, without NaN."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geoseg
from geoseg.results import json_ready

VERBS = [name for name, module in geoseg._EXPORTS.items() if module.endswith(".verb")]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_gives_a_result_that_becomes_json(verb: str) -> None:
    function = getattr(geoseg, verb)
    module = importlib.import_module(function.__module__)
    result = getattr(module, function.__annotations__["return"])
    assert callable(result.to_json), f"{verb} gives {result.__name__}, which has no to_json"


simple = st.none() | st.booleans() | st.integers() | st.text() | st.floats()
nested = st.recursive(
    simple,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


@given(nested)
def test_any_nesting_of_plain_values_becomes_strict_json(value: object) -> None:
    text = json.dumps(json_ready(value), allow_nan=False)
    assert json_ready(json.loads(text)) == json.loads(text)


def test_paths_arrays_and_what_knows_its_own_form() -> None:
    legend = geoseg.Legend.of({1: "a", 2: "b"})
    found = json_ready(
        {"p": Path("x") / "y", "a": np.array([[1.5, np.nan]]), "n": np.int64(3), 7: math.inf, "l": legend}
    )
    assert found == {"p": str(Path("x") / "y"), "a": [[1.5, None]], "n": 3, "7": None, "l": legend.to_json()}


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON form of object"):
        json_ready({"a": [object()]})
