"""Cells that a spreadsheet would run, and those that it would not."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geoseg.tables import cell, csv_text, plain_cell, read_csv

UNSEEN = ["", " ", "\ufeff", "\u200b", "\u00a0", "\u3000", "\u2028", "\u202e", "\n", "\x00", "\ufeff \u200b"]


@pytest.mark.parametrize("unseen", UNSEEN)
@pytest.mark.parametrize(
    "sign", ["=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66"]
)
def test_what_would_run_gets_an_apostrophe(unseen: str, sign: str) -> None:
    text = f"{unseen}{sign}cmd|' /C calc'!A0"
    assert cell(text) == "'" + text
    assert plain_cell(cell(text)) == text


@pytest.mark.parametrize(
    "text", ["forest", "a=b", "\u2014", "'=1", "\u6c34 = water", "\ufeffforest", "", " ", "1-2"]
)
def test_other_text_stays(text: str) -> None:
    assert cell(text) == text


@example([["\r", "a\rb", "a\r\nb"], ["", None]])
@given(
    st.lists(
        st.lists(
            st.text(max_size=6).filter(lambda text: text[:1] != "'") | st.integers() | st.none(),
            min_size=1,
            max_size=3,
        ),
        max_size=4,
    )
)
def test_cells_come_back(rows: list[list[object]]) -> None:
    text = csv_text(rows)
    read = [[plain_cell(c) for c in row] for row in csv.reader(io.StringIO(text, newline=""))]
    assert read == [["" if v is None else str(v) for v in row] for row in rows]


@pytest.mark.parametrize(
    "text", ["x,y\n1,2\n", "x;y\n1;2\n", "x\ty\n1\t2\n", "sep=;\nx;y\n1;2\n", "x;y\r\n1;2\r\n"]
)
def test_any_delimiter_is_found(text: str) -> None:
    assert read_csv(text)[0] == [["x", "y"], ["1", "2"]]


def test_what_is_within_quotes_parts_nothing() -> None:
    rows, delimiter = read_csv('x;y;"says a, b, c or d"\n1;2;"a, b"\n')
    assert delimiter == ";" and rows == [["x", "y", "says a, b, c or d"], ["1", "2", "a, b"]]
