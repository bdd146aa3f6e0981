"""Sheets as an Excel file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geoseg.files import whole
from geoseg.report.sheets import READ_ME, Sheet
from geoseg.tables import cell

_WIDEST, _NARROWEST = 60, 9
_NAME = 31  # Excel's longest name of a sheet


def write_workbook(sheets: Sequence[Sheet], out: Path) -> Path:
    """Path of the Excel file written, whole or not at all: one sheet each, nothing in it runs.

    Headers are bold and stay in sight; numbers are numbers, so that a spreadsheet can reckon with them.
    """
    from openpyxl import Workbook
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    book.remove(book.active)
    for sheet in sheets:
        page = book.create_sheet(sheet.name[:_NAME])
        for r, row in enumerate(sheet.rows, 1):
            for c, value in enumerate(row, 1):
                plain = ILLEGAL_CHARACTERS_RE.sub(" ", value) if isinstance(value, str) else value
                shown = page.cell(r, c)
                shown.value = cell(plain)
                if isinstance(plain, str):
                    shown.data_type = "s"
                if sheet.name == READ_ME:
                    shown.alignment = Alignment(wrap_text=True, vertical="top")
                elif isinstance(plain, float):
                    shown.number_format = _format(plain)
                if r == 1:
                    shown.font = Font(bold=True)
        page.freeze_panes = "B2"
        for c in range(1, max(map(len, sheet.rows)) + 1):
            longest = max(
                len(str(row[c - 1])) if c <= len(row) and isinstance(row[c - 1], str) else 0
                for row in sheet.rows
            )
            page.column_dimensions[get_column_letter(c)].width = min(max(longest + 2, _NARROWEST), _WIDEST)
    with whole(out) as partial:
        book.save(partial)
    return out


def _format(value: float) -> str:
    """How a number is shown; the cell holds all of it."""
    return "#,##0.0" if abs(value) >= 100 else "0.00" if abs(value) >= 1 else "0.0000"
