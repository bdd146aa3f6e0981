"""Tables as text: CSV that a spreadsheet can open without running anything in it, and Markdown."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_UNSEEN = {"Zs", "Zl", "Zp", "Cf", "Cc", "Mn"}


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """CSV text (comma, LF) of rows; None and NaN become empty cells.

    Text that a spreadsheet would run as a formula (class names come from strangers' files) gets an
    apostrophe in front, as OWASP recommends against CSV injection. Numbers stay as they are.
    """
    return "".join(map(_line, rows))


def _line(row: Sequence[Any]) -> str:
    """One row of CSV; before Python 3.13 a carriage return is quoted only where it ends lines, too."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([cell(value) for value in row])
    return text.getvalue().removesuffix("\r\n") + "\n"


def read_csv(text: str) -> tuple[list[list[str]], str]:
    """(rows of cells, delimiter) of CSV text: a comma, a semicolon or a tab, whichever parts the header most.

    What is within quotes parts nothing, and a first line like ``sep=;``, which Excel writes and reads, is
    obeyed and left out. csv.Error for text that is no table.
    """
    said = re.match(r"sep=(.)[\r\n]+", text)
    if said:
        text, delimiter = text[said.end() :], said[1]
    else:
        head = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])
        delimiter = max(",;\t", key=head.count)
    return list(csv.reader(io.StringIO(text), delimiter=delimiter)), delimiter


def cell(value: Any) -> Any:
    """Value as a spreadsheet's cell: empty for None and NaN; before text that would run, an apostrophe."""
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 (NaN)
        return ""
    return "'" + value if isinstance(value, str) and _would_run(value) else value


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown table of rows of text, without a line break at the end."""
    body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body])


def plain_cell(value: Any) -> Any:
    """What `cell` was given, of what a spreadsheet holds."""
    return value[1:] if isinstance(value, str) and value.startswith("'") and _would_run(value[1:]) else value


def _would_run(text: str) -> bool:
    """Whether a spreadsheet may take text for a formula, though it begins with what nobody sees."""
    for character in text:
        if unicodedata.category(character) not in _UNSEEN or character in _FORMULA:
            return unicodedata.normalize("NFKC", character).startswith(_FORMULA)
    return False
