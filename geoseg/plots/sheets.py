"""Rows without geometries: CSV and Excel, written batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from geoseg.errors import UsageError
from geoseg.files import whole
from geoseg.tables import csv_text
from geoseg.writers.layer import GEOMETRY

SUFFIXES = (".csv", ".xlsx")
_MOST_ROWS = 1_048_575
"""Rows of an Excel sheet below its head."""


def write_sheet(
    path: Path, batches: Iterator[pa.RecordBatch], names: list[str], about: Mapping[str, Any], count: int
) -> None:
    """Write a table as its suffix says; `about` becomes a sheet of its own in Excel."""
    if path.suffix.lower() == ".csv":
        with whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_text([names]))
            for batch in batches:
                file.write(csv_text(_rows(batch)))
        return
    if count > _MOST_ROWS:
        raise UsageError(f"{count:,} plots do not fit into an Excel sheet", where=path, hint=".csv or .gpkg")
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("plots")
    sheet.freeze_panes = "A2"
    sheet.append(names)
    for batch in batches:
        for row in _rows(batch):
            sheet.append([_text(sheet, value) for value in row])
    read_me = book.create_sheet("read me")
    for key, value in about.items():
        read_me.append([_text(read_me, str(key)), _text(read_me, str(value))])
    with whole(path) as partial:
        book.save(partial)


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    columns = [batch[n].to_pylist() for n in batch.schema.names if n != GEOMETRY]
    return zip(*columns, strict=True)


def _text(sheet: Any, value: Any) -> Any:
    """A cell that stays text, whatever it begins with: Excel would run it as a formula."""
    if not isinstance(value, str):
        return value
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    cell = WriteOnlyCell(sheet, value=ILLEGAL_CHARACTERS_RE.sub(" ", value)[:32_767])
    cell.data_type = "s"
    return cell
