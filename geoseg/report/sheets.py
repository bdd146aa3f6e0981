"""The tables of a study: one sheet each, from the results of its commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geoseg.report.sources import Kind, Source
from geoseg.version import __version__

Row = Sequence[Any]
READ_ME = "read-me"
_RATES = ("fao_rate", "puyravaud_rate", "ha_per_year")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One table: its name, what it says, and its rows, the first of which is the header."""

    name: str
    about: str
    rows: tuple[Row, ...]


def study_sheets(title: str, sources: Sequence[Source]) -> list[Sheet]:
    """Sheets of all results, the read-me first; names are unique."""
    found = [
        (source, sheet)
        for source in sources
        for sheet in _OF_KIND[source.kind](source)
        if len(sheet.rows) > 1
    ]
    taken: Counter[str] = Counter()
    named = []
    for source, sheet in found:
        taken[sheet.name] += 1
        suffix = "" if taken[sheet.name] == 1 else f" {taken[sheet.name]}"
        named.append((source, replace(sheet, name=f"{sheet.name}{suffix}")))
    return [_read_me(title, sources, named), *(sheet for _, sheet in named)]


def _read_me(title: str, sources: Sequence[Source], sheets: Sequence[tuple[Source, Sheet]]) -> Sheet:
    rows: list[Row] = [["what", "says"], ["study", title], ["made by", f"geoseg {__version__}"]]
    rows += [[f"sheet {sheet.name}", f"{sheet.about} ({source.path.name})"] for source, sheet in sheets]
    for source in sources:
        rows.append([f"file {source.path.name}", f"SHA-256 {source.sha256}"])
        rows += [[f"note ({source.path.name})", note] for note in source.content.get("notes", [])]
    for source in sources:
        rules = source.content.get("rules") or {}
        rows += [[f"rule: {name} ({source.path.name})", rule] for name, rule in rules.items()]
    return Sheet(name=READ_ME, about="what the sheets hold, and where it comes from", rows=tuple(rows))


def _estimates(source: Source) -> Iterator[Sheet]:
    content = source.content
    matrix = content["matrix"]
    names = matrix["classes"]
    yield Sheet(
        name="estimates",
        about="areas and accuracies of the classes with standard errors and intervals, by the sample",
        rows=_records(content["classes"]),
    )
    yield Sheet(
        name="overall",
        about="overall accuracy, design of the sample, disagreement in shares of the area",
        rows=(
            ["figure", "value"],
            *([f"overall {k}", v] for k, v in content["overall"].items()),
            *([f"design: {k}", _plain(v)] for k, v in content["design"].items()),
            *([f"disagreement {k}", v] for k, v in (content["disagreement"] or {}).items() if k != "classes"),
        ),
    )
    yield Sheet(
        name="matrix",
        about="error matrix, rows are the map: units, then shares of the area, then their standard errors",
        rows=(
            ["map / reference", *(f"{n} ({what})" for what in ("units", "share", "se") for n in names)],
            *(
                [name, *matrix["counts"][i], *matrix["shares"][i], *matrix["se"][i]]
                for i, name in enumerate(names)
            ),
        ),
    )
    yield Sheet(
        name="strata",
        about="what units were drawn from, and what was said of them",
        rows=_records(content["strata"]),
    )
    yield Sheet(
        name="ratios", about="areas as shares of others, by the sample", rows=_records(content["ratios"])
    )


def _change(source: Source) -> Iterator[Sheet]:
    content = source.content
    matrix = content["matrix"]
    records = content["classes"]
    yield Sheet(
        name="classes",
        about="classes before and after by the maps (IPCC approach 1), with gain, loss, net, swap and "
        "their kinds",
        rows=_records([{k: v for k, v in r.items() if k not in _RATES} for r in records]),
    )
    if any(name in record for record in records for name in _RATES):
        yield Sheet(
            name="rates",
            about="yearly rates of change: FAO (1995), Puyravaud (2003), hectares per year",
            rows=_records(
                [{k: r[k] for k in ("class", "before_ha", "after_ha", *_RATES) if k in r} for r in records]
            ),
        )
    for unit in ("hectares", "pixels"):
        yield Sheet(
            name=f"transitions {unit}",
            about=f"class before (rows) to class after by the maps, in {unit} (IPCC approach 2)",
            rows=(
                ["before / after", *matrix["names"]],
                *([name, *row] for name, row in zip(matrix["names"], matrix[unit], strict=True)),
            ),
        )
    totals = {**content["total"], **(content.get("components") or {})}
    for name, part in (content.get("removals") or {}).items():
        totals |= {f"{name}_{key}": part[key] for key in ("removed", "pixels", "hectares", "share_of_change")}
    yield Sheet(
        name="change",
        about="all that changed by the maps, and of what kind",
        rows=(["figure", "value"], *([k, v] for k, v in totals.items())),
    )


def _series(source: Source) -> Iterator[Sheet]:
    for name, sheet, about in (
        ("areas", "years", "class by date, by the maps"),
        ("transitions", "yearly transitions", "from each date to the next, and from the first to the last"),
        ("losses", "losses", "first loss by date under each definition"),
    ):
        if name in source.tables:
            yield Sheet(name=sheet, about=about, rows=tuple(source.tables[name]))


def _scores(source: Source) -> Iterator[Sheet]:
    content = source.content
    confusion = content["confusion"]
    yield Sheet(
        name="scores",
        about="scores of the map against a reference, unweighted",
        rows=_records(content["classes"]),
    )
    yield Sheet(
        name="confusion",
        about="unweighted counts, rows are the reference",
        rows=(
            ["reference / map", *confusion["classes"]],
            *([name, *row] for name, row in zip(confusion["classes"], confusion["counts"], strict=True)),
        ),
    )


_OF_KIND: Mapping[Kind, Callable[[Source], Iterator[Sheet]]] = {
    "estimates": _estimates,
    "change": _change,
    "series": _series,
    "scores": _scores,
}


def _records(records: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """Header and rows of records, whose keys may differ."""
    names = list(dict.fromkeys(name for record in records for name in record))
    return (names, *([_plain(record.get(name)) for name in names] for record in records))


def _plain(value: Any) -> Any:
    """Value as one cell."""
    return value if value is None or isinstance(value, str | int | float) else str(value)
