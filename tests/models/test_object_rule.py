"""Tasks and object rules of bundles, as ``bundle.json`` has them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import GeosegError, InputError
from geoseg.legend import LandClass, Legend
from geoseg.models.bundle import list_bundles, load_bundle
from geoseg.models.description import ModelDescription
from geoseg.models.object_rule import ObjectRule
from tests.objects.blobs import save_blobs


@pytest.mark.parametrize("name", list_bundles())
def test_only_bundles_of_objects_speak_of_them(name: str) -> None:
    bundle = load_bundle(name, verify=False)
    stored = json.loads((bundle.path / "bundle.json").read_text())
    described = bundle.to_json()
    assert list(described) == [key for key in stored if key not in ("format_version", "weights")]
    assert described["legend"] == stored["legend"]
    if bundle.task == "semantic":
        assert not {"task", "objects"} & stored.keys() and not bundle.legend.things
    elif bundle.task == "promptable":  # what is asked for is the object, of no class
        assert bundle.objects is None and not bundle.legend.things
    else:
        assert bundle.objects is not None and bundle.legend.things


@pytest.mark.parametrize("panoptic", [False, True])
def test_a_bundle_of_objects_reads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, panoptic: bool
) -> None:
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "tests")
    rule = ObjectRule(score=0.25, min_pixels=7)
    bundle = load_bundle(save_blobs(tmp_path / "blobs", panoptic=panoptic, rule=rule))
    raw = json.loads((bundle.path / "bundle.json").read_text())
    assert raw["format_version"] == 2
    assert raw["objects"] == {"score": 0.25, "mask": 0.5, "min_pixels": 7, "per_tile": 300, "match": 0.5}
    assert bundle.objects == rule and bundle.task == ("panoptic" if panoptic else "instance")
    assert [c.name for c in bundle.legend.things] == ["house", "tree"]
    assert ModelDescription.from_json(raw) == ModelDescription.from_json({**raw, **bundle.to_json()})
    with pytest.raises(InputError, match="another format version"):
        (bundle.path / "bundle.json").write_text(json.dumps({**raw, "format_version": 1}))
        load_bundle(bundle.path)


HOUSE = LandClass(id=1, name="house", color="#D55E00", kind="thing")
GRASS = LandClass(id=2, name="grass", color="#F0E442")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tasks": ("instance",), "objects": None}, "needs to say what an object is"),
        ({"tasks": ("instance",), "legend": Legend((HOUSE, GRASS))}, "things"),
        (
            {"tasks": ("panoptic",), "legend": Legend((GRASS, replace(GRASS, id=3, name="road")))},
            "of things",
        ),
        ({"tasks": ("panoptic",)}, "two classes"),
        ({"tasks": ("semantic",), "legend": Legend((HOUSE, GRASS))}, "has no objects"),
        ({"tasks": ("semantic",), "objects": None}, "two classes"),
        ({"tasks": ("magic",)}, "unknown task 'magic'"),
    ],
)
def test_classes_and_objects_fit_the_task(changes: dict[str, Any], text: str) -> None:
    forest = load_bundle("forest-s2-rgb", verify=False)
    known = {"tasks": ("instance",), "objects": ObjectRule(), "legend": Legend((HOUSE,))}
    described = ModelDescription.from_json(forest.to_json())
    assert replace(described, **known).task == "instance"
    with pytest.raises(InputError) as caught:
        replace(described, **{**known, **changes})
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "raw", [{"score": 1.5}, {"mask": 0}, {"min_pixels": 0}, {"per_tile": 70000}, {"match": 0.4}, {"sore": 1}]
)
def test_rules_out_of_range_are_refused(raw: dict[str, float]) -> None:
    with pytest.raises(GeosegError, match=next(iter(raw))):
        ObjectRule.from_json(raw)
