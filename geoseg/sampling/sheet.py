"""Tables that people filled in: CSV and Excel files as rows of cells."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from geoseg.errors import InputError, UsageError
from geoseg.raster.open import local_file
from geoseg.tables import cell, csv_text, read_csv

EXCEL, TABLES = (".xlsx", ".xlsm"), (".csv", ".tsv", ".txt")
"""Suffixes of the files that are read."""

_LARGEST = 256 * 2**20


def rows_of(path: Path, encoding: str | None = None) -> list[tuple[Any, ...]]:
    """Rows of cells of a CSV or Excel file, the header first; an Excel file's first sheet.

    A CSV's delimiter is a comma, a semicolon or a tab.

    Raises
    ------
    InputError
        Text that cannot be decoded, or a file that is no table.
    """
    file = local_file(path)
    if file.suffix.casefold() in EXCEL:
        return _excel(file)
    try:
        text = file.read_text(encoding=encoding or "utf-8-sig")
    except (UnicodeDecodeError, LookupError) as error:
        raise InputError(
            "text is not in the encoding that was expected",
            where=file,
            why=str(error),
            hint="`encoding=cp1252`, or save it as UTF-8",
        ) from None
    try:
        return [tuple(row) for row in read_csv(text)[0]]
    except csv.Error as error:
        raise InputError("not a table", where=file, why=str(error)) from None


def write_rows(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows of cells, the header first, as a CSV or Excel file."""
    if path.suffix.casefold() == ".xlsx":
        import openpyxl

        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("sample")
        sheet.freeze_panes = "A2"
        for row in rows:
            sheet.append([cell(value) for value in row])
        book.save(path)
    elif path.suffix.casefold() == ".csv":
        path.write_text(csv_text(rows), encoding="utf-8-sig", newline="\n")
    else:
        raise UsageError(
            f"unknown table format {path.suffix!r}", where=path, hint="a name that ends with .csv or .xlsx"
        )


def _excel(file: Path) -> list[tuple[Any, ...]]:
    from zipfile import BadZipFile

    import openpyxl

    if file.stat().st_size > _LARGEST:
        raise InputError("too large for a table", where=file, why=f"{file.stat().st_size} bytes", hint="CSV")
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        try:
            return list(book.worksheets[0].iter_rows(values_only=True))
        finally:
            book.close()
    except (BadZipFile, KeyError, ValueError, IndexError, TypeError) as error:
        raise InputError("cannot be read as an Excel file", where=file, why=str(error)[:200]) from None
