"""The form and style with which QGIS opens a sample: questions for people, and nothing of the map."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as Xml

from geoseg.legend import Legend
from geoseg.raster.style import categorized, printable, qgis_root, qgis_text, rgba, symbol_layer
from geoseg.sampling.layout import UNKNOWN

_YES_NO = {"yes": "y", "no": "n"}
_CERTAINTY = {"1 a guess": "1", "2 likely": "2", "3 certain": "3"}
_HIDDEN = ("fid", "psu")
_FIXED = ("id", "order", "lon", "lat")
_OPEN, _SEEN = "#FFD400", "#8C8C8C"


def sample_qml(legend: Legend, *, plots: bool) -> str:
    """QML text of the layer ``sample``: outlines coloured by label, a form with the classes to choose from.

    Parameters
    ----------
    legend
        Classes.
    plots
        Whether units are plots, of which a class may cover a share.
    """
    root = qgis_root(styleCategories="Symbology|Labeling|Fields|Forms|AttributeTable", labelsEnabled="0")
    _outlines(root, legend)
    _form(root, legend, plots)
    Xml.SubElement(root, "layerGeometryType").text = "2"
    return qgis_text(root)


def _form(root: Xml.Element, legend: Legend, plots: bool) -> None:
    classes = {printable(c.name): str(c.id) for c in legend.classes}
    choices: dict[str, Mapping[str, str]] = {
        "label": classes,
        "label_2": classes,
        "unknown": {text: text for text in UNKNOWN},
        "edge": _YES_NO,
        "confidence": _CERTAINTY,
    }
    shown = [
        *_FIXED,
        "label",
        "label_2",
        *(["share"] if plots else []),
        *("unknown", "edge", "date_seen", "image", "confidence", "interpreter", "when", "comment"),
    ]
    hidden = [*_HIDDEN, *([] if plots else ["share"])]
    configuration = Xml.SubElement(root, "fieldConfiguration")
    for name in (*hidden, *shown):
        field = Xml.SubElement(configuration, "field", name=name, configurationFlags="None")
        if name in hidden:
            _widget(field, "Hidden")
        elif name in choices:
            _value_map(field, choices[name])
        elif name == "share":
            _widget(field, "Range", Min="0", Max="1", Step="0.05", AllowNull="true", Style="SpinBox")
        else:
            _widget(field, "TextEdit", IsMultiline="true" if name == "comment" else "false")
    editable = Xml.SubElement(root, "editable")
    for name in (*hidden, *shown):
        Xml.SubElement(editable, "field", name=name, editable="0" if name in (*hidden, *_FIXED) else "1")
    Xml.SubElement(root, "editorlayout").text = "tablayout"
    form = Xml.SubElement(root, "attributeEditorForm")
    for name in shown:
        Xml.SubElement(form, "attributeEditorField", name=name, index="-1", showLabel="1")
    table = Xml.SubElement(root, "attributetableconfig", sortExpression='"order"', sortOrder="0")
    columns = Xml.SubElement(table, "columns")
    for name in (*shown, *hidden):
        Xml.SubElement(columns, "column", type="field", name=name, hidden="1" if name in hidden else "0")
    Xml.SubElement(root, "previewExpression").text = '"order"'


def _widget(field: Xml.Element, kind: str, **settings: str) -> None:
    config = Xml.SubElement(Xml.SubElement(field, "editWidget", type=kind), "config")
    options = Xml.SubElement(config, "Option", type="Map")
    for name, value in settings.items():
        Xml.SubElement(options, "Option", name=name, value=value, type="QString")


def _value_map(field: Xml.Element, choices: Mapping[str, str]) -> None:
    """A list to choose from, in this order, and nothing by default."""
    config = Xml.SubElement(Xml.SubElement(field, "editWidget", type="ValueMap"), "config")
    entries = Xml.SubElement(Xml.SubElement(config, "Option", type="Map"), "Option", name="map", type="List")
    # QGIS's own word for null in a list
    for text, value in {"": "{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}", **choices}.items():
        entry = Xml.SubElement(entries, "Option", type="Map")
        Xml.SubElement(entry, "Option", name=text, value=value, type="QString")


def _outlines(root: Xml.Element, legend: Legend) -> None:
    """Squares without a fill, so that the picture beneath is seen; in the colour of their label."""
    expression = (
        "CASE WHEN \"unknown\" IS NOT NULL THEN 'unknown' WHEN \"label\" IS NULL THEN 'to be labelled' "
        'ELSE to_string("label") END'
    )
    listed = [
        ("to be labelled", "to be labelled", _OPEN),
        ("unknown", "unknown", _SEEN),
        *((str(c.id), printable(c.name), c.color) for c in legend.classes),
    ]
    symbols = categorized(root, expression, [(value, text) for value, text, _ in listed], kind="string")
    for symbol, (_, _, color) in zip(symbols, listed, strict=True):
        symbol_layer(
            symbol,
            "SimpleLine",
            line_color=rgba(color),
            line_style="solid",
            line_width="0.6",
            line_width_unit="MM",
            joinstyle="miter",
        )
