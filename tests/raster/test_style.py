from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest

from geoseg.legend import Legend
from geoseg.raster.style import raster_qml, vector_qml

NAMES = {0: "water", 3: '<script>alert("&")</script>', 7: "Wald\x00\x0b ü 林 'quoted'", 254: "]]> --> <!--"}
LEGEND = Legend.of(NAMES, {0: "#0000FF", 3: "#00AA00", 7: "#010203", 254: "#FFFFFF"})


def test_raster_qml_holds_every_class_and_no_nodata() -> None:
    root = Xml.fromstring(raster_qml(LEGEND.classes, opacity=0.5))
    entries = root.findall("./pipe/rasterrenderer[@type='paletted']/colorPalette/paletteEntry")
    assert [(e.get("value"), e.get("color")) for e in entries] == [
        ("0", "#0000ff"),
        ("3", "#00aa00"),
        ("7", "#010203"),
        ("254", "#ffffff"),
    ]
    assert [e.get("label") for e in entries][1:] == [NAMES[3], "Wald ü 林 'quoted'", NAMES[254]]
    assert root.tag == "qgis"
    assert root.find("./pipe/rasterrenderer").get("opacity") == "0.5"


@pytest.mark.parametrize("field", ["class_id", "to_id"])
def test_vector_styles_colour_every_class_by_the_field(field: str) -> None:
    root = Xml.fromstring(vector_qml(LEGEND.classes, field))
    renderer = root.find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", field)
    symbols = {
        s.get("name"): s.find("layer/Option/Option[@name='color']").get("value")
        for s in renderer.findall("symbols/symbol")
    }
    colors = {c.get("value"): symbols[c.get("symbol")] for c in renderer.findall("categories/category")}
    assert colors == {"0": "0,0,255,255", "3": "0,170,0,255", "7": "1,2,3,255", "254": "255,255,255,255"}


def test_the_same_legend_gives_the_same_text() -> None:
    assert raster_qml(LEGEND.classes) == raster_qml(Legend(LEGEND.classes[::-1]).classes)
    assert raster_qml(LEGEND.classes).startswith("<!DOCTYPE qgis")
