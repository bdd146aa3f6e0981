"""What was written as a sample is read back, and what people broke in it is refused by name."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyogrio
import pytest

from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.sampling.file import read_sample, write_sample
from geoseg.sampling.layout import Answer, Label, consensus
from tests.sampling.makers import sample


def change(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:  # those of the R-tree call functions that plain SQLite lacks
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            connection.execute(statement)
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    told = Answer(label=2, label_2=1, share=0.4, edge="y", confidence=3, interpreter="Ana", comment="é")
    labels = (Label(id="a2", answer=told), Label(id="a2", answer=Answer(interpreter="B")))
    made = sample(a1=told, a3=Answer(unknown="cloud"), labels=labels)
    found = read_sample(write_sample(tmp_path / "s.gpkg", made))
    assert replace(found, crs_wkt=made.crs_wkt) == replace(
        made,
        units=(made.units[0], replace(made.units[1], answer=Answer(interpreter="Ana, B")), *made.units[2:]),
    )
    assert pyogrio.read_info(tmp_path / "s.gpkg", layer="sample")["crs"] == "EPSG:32633"
    columns = pyogrio.read_info(tmp_path / "s.gpkg", layer="sample")["fields"].tolist()
    assert columns == [
        *("id", "order", "psu", "lon", "lat", "label", "label_2", "share", "unknown", "edge", "date_seen"),
        *("image", "confidence", "interpreter", "when", "comment"),
    ]
    assert pyogrio.read_info(tmp_path / "s.gpkg", layer="design")["fields"].tolist()[:7] == [
        *("id", "stratum", "rank", "map_class", "p_inclusion", "weight", "area_m2")
    ]


def test_labels_are_numbers_or_names(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "s.gpkg", sample())
    change(
        path,
        "UPDATE sample SET label = 'Other ' WHERE id = 'a1'",
        "UPDATE sample SET label = '3' WHERE id = 'a2'",
        "UPDATE sample SET label = 1.0, unknown = ' ' WHERE id = 'a3'",
    )
    assert [u.answer.label for u in read_sample(path).units] == [2, 3, 1, None, None, None]
    assert read_sample(path).units[2].answer.state == "labelled"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE sample SET label = 9 WHERE id = 'a4'", "label 9 of unit a4 is no class"),
        ("UPDATE sample SET label = 'forrest' WHERE id = 'a4'", "'forest'"),
        ("UPDATE sample SET id = 'b' WHERE id = 'a4'", "1 ids of sample were not drawn"),
        ("UPDATE sample SET id = 'a3' WHERE id = 'a4'", "1 ids stand more than once"),
        ("DELETE FROM sample WHERE id = 'a4'", "1 units that were drawn are missing"),
        ("UPDATE sample SET share = 1.5 WHERE id = 'a4'", "expected 0 to 1"),
        ("UPDATE sample SET confidence = 'high' WHERE id = 'a4'", "confidence 'high'"),
        ("DROP TABLE design", "it has no layer design"),
        ("DELETE FROM design_info WHERE name = 'seed'", "lacks seed"),
        ("UPDATE design_info SET value = '{' WHERE name = 'grid'", "damaged"),
    ],
)
def test_what_was_broken_is_refused(tmp_path: Path, statement: str, words: str) -> None:
    path = change(write_sample(tmp_path / "s.gpkg", sample()), statement)
    with pytest.raises(InputError, match=words):
        read_sample(path)


def test_other_files_are_no_samples(tmp_path: Path) -> None:
    (tmp_path / "x.gpkg").write_text("hello")
    with pytest.raises(InputError, match="not a sample"):
        read_sample(tmp_path / "x.gpkg")
    with pytest.raises(UsageError, match=r"s\.gpkg"):
        write_sample(tmp_path / "s.shp", sample())
    write_sample(tmp_path / "s.gpkg", sample())
    with pytest.raises(OutputConflictError, match="exists"):
        write_sample(tmp_path / "s.gpkg", sample())
    write_sample(tmp_path / "s.gpkg", sample(4), overwrite=True)
    assert len(read_sample(tmp_path / "s.gpkg").units) == 4


@pytest.mark.parametrize(
    ("answers", "label", "state"),
    [
        ((1, 1), 1, "labelled"),
        ((1, 2), None, "left"),
        ((1, None), None, "left"),
        ((1, 2, 1), 1, "labelled"),
        ((1, 2, 3), None, "left"),
        (("cloud", "cloud"), None, "unknown"),
        (("cloud", "no image", 1), None, "unknown"),
    ],
)
def test_more_than_half_decide(answers: tuple[int | str | None, ...], label: int | None, state: str) -> None:
    said = [
        Answer(unknown=a, interpreter=who) if isinstance(a, str) else Answer(label=a, interpreter=who)
        for a, who in zip(answers, "ABC", strict=False)
    ]
    assert (consensus(said).label, consensus(said).state) == (label, state)
