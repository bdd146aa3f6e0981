"""Crosswalks: totality, nulls, near matches, and what the user reads when a value has no class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from geoseg.errors import InputError, UsageError
from geoseg.legend import Legend
from geoseg.raster.rules import Rules, is_null

LEGEND = Legend.of({1: "forest", 2: "pasture", 7: "open water"})


def assign(raw, values):
    return Rules.parse(raw, LEGEND).assign(values, where="reference.gpkg", what="features")


def test_without_a_crosswalk_values_are_ids_or_names_in_any_spelling():
    values = [1, 2.0, "7", np.int64(1), "Forest", "open_water", " PASTURE "]
    assert [assign(None, [v])[v] for v in values] == [1, 2, 7, 1, 1, 7, 2]


def test_crosswalk_to_names_ids_and_ignore():
    found = assign({"Wald": "forest", 12: 7, "Strasse": "ignore"}, ["Wald", 12, "Strasse", "wald"])
    assert found == {"Wald": 1, 12: 7, "Strasse": None, "wald": 1}


def test_every_value_without_a_class_is_listed_with_its_count_and_the_nearest():
    with pytest.raises(InputError) as error:
        assign({"Wald": "forest", "Weide": "pasture"}, ["Wald", "Weidee", "Weidee", "See"])
    assert "'Weidee' (2 features), 'See' (1 features)" in str(error.value)
    assert "'Weidee' looks like 'Weide'" in str(error.value)


def test_a_star_stands_for_all_other_values_but_not_for_nulls():
    assert assign({"Wald": "forest", "*": "pasture"}, ["Wald", "x", 5]) == {"Wald": 1, "x": 2, 5: 2}
    assert assign({"*": "pasture"}, ["x", None]) == {"x": 2, None: None}


@pytest.mark.parametrize("null", [None, float("nan"), pd.NA, pd.NaT, np.nan, "", "  "])
def test_nulls_are_left_out_unless_the_crosswalk_names_them(null):
    assert is_null(null)
    assert assign(None, [null, 1]) == {None: None, 1: 1}
    assert assign({None: "ignore", 1: "forest"}, [null, 1]) == {None: None, 1: 1}
    assert assign({None: "pasture", 1: "forest"}, [null, 1]) == {None: 2, 1: 1}


@pytest.mark.parametrize("true", [True, np.True_])
def test_a_truth_value_is_a_text_and_never_a_number(true):
    with pytest.raises(InputError, match=r"'true' \(1 features\).*\"true\" and \"false\" there, in quotes"):
        assign(None, [true.item() if hasattr(true, "item") else true])
    assert assign({"true": "forest", "false": "ignore"}, [true, False]) == {True: 1, False: None}
    binary = Rules.parse(None, Legend.of({1: "No", 2: "Yes"}))
    assert binary.assign([true, False], where="", what="") == {True: 2, False: 1}
    assert not Rules.parse(None, Legend.of({0: "a", 1: "b"})).knows(true)


def test_an_unknown_target_names_the_nearest_class():
    with pytest.raises(InputError, match="'forest'"):
        assign({"Wald": "forrest"}, ["Wald"])


def test_a_truth_value_in_yaml_is_explained(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("true: forest\n")
    with pytest.raises(UsageError, match="put it in quotes"):
        assign(path, ["true"])


def test_rank_follows_the_crosswalk_or_the_legend():
    rules = Rules.parse({"b": "forest", "a": "pasture", "*": "ignore"}, LEGEND)
    assert [rules.rank(v) for v in ("b", "a", "other")] == [0, 1, 2]
    assert [Rules.parse(None, LEGEND).rank(v) for v in ("open water", 1, "pasture")] == [2, 0, 1]
