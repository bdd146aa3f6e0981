"""Legends and crosswalks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import InputError, UsageError
from geoseg.legend import NODATA, Crosswalk, LandClass, Legend

FOREST = Legend.of({0: "Forest", 1: "Cleared land", 7: "Water"}, {7: "#0000FF"})

legends = st.dictionaries(
    st.integers(0, NODATA - 1), st.text("abcdefgh", min_size=1, max_size=8), min_size=1, max_size=12
).map(lambda names: Legend.of({i: f"{name} {i}" for i, name in names.items()}))


@given(legends)
def test_json_round_trip(legend: Legend) -> None:
    assert Legend.from_json(legend.to_json()) == legend


@given(legends)
def test_index_of_inverts_ids(legend: Legend) -> None:
    table = legend.index_of()
    assert table.shape == (256,)
    assert [legend.ids[k] for k in table[table >= 0]] == sorted(legend.ids)
    assert table[NODATA] == -1
    assert (table >= 0).sum() == len(legend)


@given(legends, st.randoms())
def test_order_of_definition_does_not_matter(legend: Legend, random: object) -> None:
    classes = list(legend.classes)
    random.shuffle(classes)  # type: ignore[attr-defined]
    assert Legend(tuple(classes)) == legend


def test_names_and_colours() -> None:
    assert FOREST.name(1) == "Cleared land"
    assert FOREST.name(3) == "class 3"
    assert FOREST.find(7).rgb == (0, 0, 255)
    assert len({c.color for c in FOREST.classes}) == 3


@pytest.mark.parametrize(
    "wanted", [1, "1", "Cleared land", "cleared_land", " CLEARED  LAND ", "Cleared-Land"]
)
def test_a_class_is_found_by_id_or_forgiving_name(wanted: object) -> None:
    assert FOREST.find(wanted).id == 1  # type: ignore[arg-type]


def test_an_unknown_class_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no class 'Forrest'.*Forest, Cleared land, Water.*Try: 'Forest'"):
        FOREST.find("Forrest")


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"id": 255, "name": "x", "color": "#000000"}, "found 255, expected 0 to 254"),
        ({"id": -1, "name": "x", "color": "#000000"}, "found -1"),
        ({"id": 1, "name": "  ", "color": "#000000"}, "without a name"),
        ({"id": 1, "name": "x", "color": "red"}, "not #RRGGBB"),
        ({"id": 1, "name": "x", "color": "#12345G"}, "not #RRGGBB"),
    ],
)
def test_a_class_that_cannot_be_is_refused(bad: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        LandClass(**bad)  # type: ignore[arg-type]


def test_ids_and_names_are_unique() -> None:
    a, b = LandClass(id=1, name="a", color="#000000"), LandClass(id=1, name="b", color="#000000")
    with pytest.raises(InputError, match="id used twice"):
        Legend((a, b))
    with pytest.raises(InputError, match="name used twice"):
        Legend((a, LandClass(id=2, name="a", color="#000000")))


@given(legends)
def test_the_identity_crosswalk_keeps_ids_and_names(legend: Legend) -> None:
    walk = Crosswalk.identity(legend)
    assert [walk.target(i) for i in legend.ids] == list(legend.ids)
    assert [walk.target(n) for n in legend.names] == list(legend.ids)


def test_a_crosswalk_maps_to_names_ids_and_ignore() -> None:
    walk = Crosswalk.parse({10: "forest", "20": 1, "Clouds": "ignore", 40: None, "lake": "Water"}, FOREST)
    assert [walk.target(v) for v in (10, "10", 10.0, 20, "20", "clouds", 40, "Lake")] == [
        0, 0, 0, 1, 1, None, None, 7,
    ]  # fmt: skip


def test_a_value_outside_the_crosswalk_is_named() -> None:
    walk = Crosswalk.parse({10: "Forest"}, FOREST)
    with pytest.raises(UsageError, match=r"value 11 is not in the crosswalk.*mapped are 10.*ignore"):
        walk.target(11)
    with pytest.raises(UsageError, match="value 'savanna'"):
        walk.target("savanna")


def test_a_crosswalk_to_nowhere_is_refused() -> None:
    with pytest.raises(InputError, match="no class 'savanna'"):
        Crosswalk.parse({10: "savanna"}, FOREST)


def test_colours_are_what_names_make_expect() -> None:
    names = ["water", "construction", "forest", "xyz", "Forest road", "non-forest"]
    legend = Legend.of(dict(enumerate(names)))
    color = {c.name: c.color for c in legend.classes}
    assert color["water"] == "#0072B2"
    assert color["forest"] == "#009E73"
    assert color["Forest road"] == "#999999"
    blues = {"#0072B2", "#56B4E9", "#332288", "#88CCEE"}
    assert not blues & {color["construction"], color["xyz"], color["non-forest"]}
    assert len(set(color.values())) == len(color)
    # a blue that was given counts, too
    assert Legend.of({1: "a", 2: "b"}, {1: "#1060C0"}).classes[1].color == "#E69F00"
    assert Legend.of({1: "a", 2: "b"}, {1: "#F0A010"}).classes[1].color == "#56B4E9"


def test_classes_without_a_telling_name_take_the_palette_in_order() -> None:
    legend = Legend.of({k: f"class {k}" for k in range(17)})
    assert [c.color for c in legend.classes][:4] == ["#E69F00", "#56B4E9", "#009E73", "#F0E442"]
    assert len({c.color for c in legend.classes}) == 17
    assert len(Legend.of({k: f"class {k}" for k in range(60)})) == 60


def test_a_text_names_classes_with_commas_of_their_own_first() -> None:
    legend = Legend.of({1: "Developed, Low", 2: "Developed", 3: "Low", 4: "Low, wet, 1"})
    for text, ids in {
        "Developed, Low": [1], "developed,  low": [1], "Developed": [2], "Low, Developed": [3, 2],
        "Low, wet, 1, 2": [4, 2], "1,2": [1, 2], " , 3,": [3], "Developed, Low, Low": [1, 3],
    }.items():  # fmt: skip
        assert [c.id for c in legend.find_all(text)] == ids, text
    with pytest.raises(InputError, match="no class 'wet'"):
        legend.find_all("wet, Low")


def test_whole_numbers_of_a_crosswalk_are_one_code_however_they_are_written() -> None:
    legend = Legend.of({1: "forest", 2: "water"})
    crosswalk = Crosswalk.parse({7.0: "forest", 8: "water", 8.5: "ignore"}, legend)
    assert [crosswalk.target(value) for value in (7, 7.0, "7", 8.0, "8.5")] == [1, 1, 1, 2, None]
