"""Styles that carry a legend into QGIS and other viewers: raster QML and vector QML.

QML is QGIS's own format: a file of the raster's name with the suffix ``.qml`` is applied when the raster is
dropped on the map; a GeoPackage holds the same text in its table ``layer_styles``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol
from xml.etree import ElementTree as Xml

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_VERSION = "3.34.0"
_EDGE = "#3C3C3C"


class Shown(Protocol):
    """One value of a layer as a style shows it."""

    @property
    def id(self) -> int:
        """The value."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def color(self) -> str:
        """``#RRGGBB``."""


def raster_qml(classes: Iterable[Shown], *, opacity: float = 1.0) -> str:
    """QML text of a paletted raster: one entry per class, nothing for nodata.

    Parameters
    ----------
    classes
        Class numbers, names and colours, as a legend has them.
    opacity
        0 (transparent) to 1.
    """
    root = qgis_root(styleCategories="Symbology")
    pipe = Xml.SubElement(root, "pipe")
    renderer = Xml.SubElement(
        pipe,
        "rasterrenderer",
        type="paletted",
        band="1",
        opacity=f"{opacity:g}",
        alphaBand="-1",
        nodataColor="",
    )
    entries = Xml.SubElement(renderer, "colorPalette")
    for c in classes:
        Xml.SubElement(
            entries,
            "paletteEntry",
            value=str(c.id),
            color=c.color.lower(),
            alpha="255",
            label=printable(c.name),
        )
    Xml.SubElement(pipe, "rasterresampler", maxOversampling="2")
    Xml.SubElement(root, "blendMode").text = "0"
    return qgis_text(root)


_VIRIDIS = (
    "#440154",
    "#3b528b",
    "#21918c",
    "#5ec962",
    "#fde725",
)  # van der Walt & Smith 2015: any colour vision


def percent_qml() -> str:
    """QML text of a raster of 0 to 100 %, from dark (0) to light (100)."""
    root = qgis_root(styleCategories="Symbology")
    pipe = Xml.SubElement(root, "pipe")
    limits = {"classificationMin": "0", "classificationMax": "100"}
    kind = {
        "type": "singlebandpseudocolor",
        "band": "1",
        "opacity": "1",
        "alphaBand": "-1",
        "nodataColor": "",
    }
    renderer = Xml.SubElement(pipe, "rasterrenderer", {**kind, **limits})
    shader = Xml.SubElement(
        Xml.SubElement(renderer, "rastershader"),
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue="100",
    )
    for step, color in enumerate(_VIRIDIS):
        value = str(25 * step)
        Xml.SubElement(shader, "item", value=value, color=color, alpha="255", label=f"{value} %")
    Xml.SubElement(root, "blendMode").text = "0"
    return qgis_text(root)


def vector_qml(classes: Sequence[Shown], field: str = "class_id", *, opacity: float = 1.0) -> str:
    """QML text of a polygon layer, categorised by the class number in `field`.

    Parameters
    ----------
    classes
        Class numbers, names and colours, as a legend has them.
    field
        Attribute that holds the class number.
    opacity
        0 (transparent) to 1.
    """
    root = qgis_root(styleCategories="Symbology")
    shown = [(str(c.id), printable(c.name)) for c in classes]
    symbols = categorized(root, field, shown, kind="integer", opacity=opacity)
    for symbol, c in zip(symbols, classes, strict=True):
        symbol_layer(
            symbol,
            "SimpleFill",
            color=rgba(c.color),
            style="solid",
            outline_color=rgba(_EDGE),
            outline_style="solid",
            outline_width="0.05",
            outline_width_unit="MM",
            joinstyle="bevel",
        )
    Xml.SubElement(root, "blendMode").text = "0"
    Xml.SubElement(root, "layerGeometryType").text = "2"
    return qgis_text(root)


def qgis_root(**attributes: str) -> Xml.Element:
    """Root of a QML document."""
    return Xml.Element("qgis", {"version": _VERSION, **attributes})


def categorized(
    root: Xml.Element, attribute: str, shown: Sequence[tuple[str, str]], *, kind: str, opacity: float = 1.0
) -> list[Xml.Element]:
    """Symbols without layers yet, one for each (value, label) of a field or an expression.

    `kind` is the values' type in QGIS: ``integer`` or ``string``.
    """
    renderer = Xml.SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr=attribute,
        enableorderby="0",
        forceraster="0",
        symbollevels="0",
    )
    categories = Xml.SubElement(renderer, "categories")
    symbols = Xml.SubElement(renderer, "symbols")
    outward = {"alpha": f"{opacity:g}", "clip_to_extent": "1", "force_rhr": "0"}
    made = []
    for i, (value, label) in enumerate(shown):
        entry = {"value": value, "symbol": str(i), "label": label, "render": "true", "type": kind}
        Xml.SubElement(categories, "category", entry)
        made.append(Xml.SubElement(symbols, "symbol", {"name": str(i), "type": "fill", **outward}))
    return made


def symbol_layer(symbol: Xml.Element, name: str, **settings: str) -> None:
    """Give a symbol a layer, by QGIS's name of its class, with these settings."""
    layer = Xml.SubElement(symbol, "layer", {"class": name, "enabled": "1", "locked": "0", "pass": "0"})
    options = Xml.SubElement(layer, "Option", type="Map")
    for key, value in settings.items():
        Xml.SubElement(options, "Option", name=key, value=value, type="QString")


def rgba(color: str) -> str:
    """``#RRGGBB`` as QGIS writes it: ``red,green,blue,255``."""
    return ",".join(str(int(color[i : i + 2], 16)) for i in (1, 3, 5)) + ",255"


def printable(text: str) -> str:
    """Text without the control characters that XML cannot hold, escaped or not."""
    return re.sub("[^\\t\\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


def qgis_text(root: Xml.Element) -> str:
    """QML text of a document."""
    Xml.indent(root, " ")
    return _DOCTYPE + Xml.tostring(root, encoding="unicode") + "\n"
