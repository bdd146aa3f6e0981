"""Progress and agreement of people, and answers that go out to other programs and come back."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pyogrio
import pytest
from sklearn.metrics import cohen_kappa_score

from geoseg.errors import InputError, UsageError
from geoseg.sampling.agreement import cohen_kappa, fleiss_kappa
from geoseg.sampling.exchange import sample_export, sample_import
from geoseg.sampling.file import read_sample, write_sample
from geoseg.sampling.layout import Answer, Label
from geoseg.sampling.status import sample_status
from tests.sampling.makers import sample


def test_kappas_of_the_papers() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, (2, 300))
    second[:200] = first[:200]
    assert cohen_kappa(first.tolist(), second.tolist()) == pytest.approx(cohen_kappa_score(first, second))
    assert cohen_kappa([1, 1], [1, 1]) is None
    # Fleiss 1971 as Wikipedia works it out: 10 units, 14 raters, 5 classes
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    answers = [[k for k, c in enumerate(row) for _ in range(c)] for row in counts]
    assert fleiss_kappa(answers) == pytest.approx(0.210, abs=5e-4)


def test_progress_per_stratum(tmp_path: Path) -> None:
    one = Answer(label=1, interpreter="Ana")
    made = sample(a1=one, a2=Answer(unknown="cloud", interpreter="Ana"), a4=replace(one, label=2))
    status = sample_status(write_sample(tmp_path / "s.gpkg", made))
    assert [(s.labelled, s.unknown, s.left) for s in status.strata] == [(1, 1, 1), (1, 0, 2)]
    assert (status.total.n, status.next_order) == (6, 3)
    assert [(p.name, p.n) for p in status.interpreters] == [("Ana", 3), ("nobody named", 3)]
    assert "1 units were labelled before" in status.notes[0]
    status.to_json()


def label(unit: str, who: str, value: int | None) -> Label:
    return Label(id=unit, answer=Answer(label=value, interpreter=who))


def test_agreement_of_people(tmp_path: Path) -> None:
    rows = [("a1", 1, 1), ("a2", 1, 2), ("a3", 2, 2), ("a4", 2, None)]
    labels = tuple(label(i, who, v) for i, *values in rows for who, v in zip("AB", values, strict=True))
    made = sample(labels=(*labels, label("a5", "A", None)), a5=Answer(label=2))
    status = sample_status(write_sample(tmp_path / "s.gpkg", made))
    (found,) = status.agreements
    assert (found.interpreters, found.units) == (("A", "B"), 3)
    assert found.agreed == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx(0.4)
    assert status.disputed == ("a2",)
    # what stands in sample counts for the one who was asked alone
    assert [(p.name, p.labelled, p.left) for p in status.interpreters] == [
        *[("A", 5, 0), ("B", 3, 1), ("nobody named", 0, 1)]
    ]
    assert [s.labelled for s in status.strata] == [0, 3]


def edit(path: Path, **labels: str) -> None:
    """Fill labels into a CSV, as a spreadsheet of a country with decimal commas writes it."""
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    for row in rows:
        row["label"] = labels.get(row["id"], row["label"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)


def test_tables_come_back(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "s.gpkg", sample(a6=Answer(label=1, comment="=1+1", share=0.25)))
    with closing(sqlite3.connect(path)) as connection:  # as a person may add a field of their own
        connection.execute("ALTER TABLE sample ADD COLUMN mine TEXT")
        connection.commit()
    sample_export(path, out=tmp_path / "s.csv")
    text = (tmp_path / "s.csv").read_text("utf-8-sig")
    assert "map_class" not in text
    assert "stratum" not in text
    edit(tmp_path / "s.csv", a1="forest", a2=" Loss", a6="other")
    result = sample_import(path, tmp_path / "s.csv")
    assert (result.answers, result.replaced, result.empty) == (3, 1, 3)
    found = {u.id: u.answer for u in read_sample(path).units}
    assert [found[f"a{i}"].label for i in range(1, 7)] == [1, 3, None, None, None, 2]
    assert (found["a6"].comment, found["a6"].share) == ("=1+1", 0.25)
    assert "mine" in pyogrio.read_info(path, layer="sample")["fields"]
    assert pyogrio.read_dataframe(path, layer="sample", bbox=(500_010, 0, 500_021, 1)).shape[0] >= 1


def test_excel_comes_back(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "s.gpkg", sample(a6=Answer(label=1, comment="=1+1")))
    sample_export(path, out=tmp_path / "s.xlsx")
    book = openpyxl.load_workbook(tmp_path / "s.xlsx")
    sheet = book.worksheets[0]
    names = [c.value for c in sheet[1]]
    assert not any(c.data_type == "f" for row in sheet.iter_rows() for c in row)
    sheet.cell(3, names.index("label") + 1, 2)
    book.save(tmp_path / "s.xlsx")
    assert sample_import(path, tmp_path / "s.xlsx").answers == 2
    assert read_sample(path).units[1].answer.label == 2
    assert read_sample(path).units[5].answer.comment == "=1+1"


def test_collect_earth_online(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "s.gpkg", sample())
    sample_export(path, out=tmp_path / "plots.csv", ceo=True)
    lines = (tmp_path / "plots.csv").read_text("utf-8-sig").splitlines()
    assert lines[0] == "LON,LAT,PLOTID,ID"
    assert lines[1].split(",")[2:] == ["1", "a1"]
    (tmp_path / "data.csv").write_text(
        "plotid,center_lon,center_lat,email,flagged,flagged_reason,confidence,collection_time,pl_id,"
        "Cover 2020\n"
        "1,15,0,ana@x.org,false,,100,2024-02-01,a1,forest\n"
        "2,15,0,ana@x.org,true,clouds everywhere,,2024-02-01,a2,\n"
        "3,15,0,ana@x.org,false,,50,2024-02-01,,loss\n"
    )
    sample_import(path, tmp_path / "data.csv", label_field="Cover 2020")
    one, two, three, *_ = (u.answer for u in read_sample(path).units)
    assert (one.label, one.confidence, one.interpreter, one.when) == (1, 3, "ana@x.org", "2024-02-01")
    assert (two.unknown, two.state) == ("clouds everywhere", "unknown")
    assert (three.label, three.confidence) == (3, 2)


def test_each_interpreter_has_a_file(tmp_path: Path) -> None:
    labels = tuple(label(i, who, None) for i, who in (("a1", "A"), ("a1", "B"), ("a2", "A"), ("a3", "B")))
    path = write_sample(tmp_path / "s.gpkg", sample(labels=labels))
    sample_export(path, out=tmp_path / "a.gpkg", interpreter="A")
    assert pyogrio.list_layers(tmp_path / "a.gpkg")[:, 0].tolist() == ["sample", "layer_styles"]
    frame = pyogrio.read_dataframe(tmp_path / "a.gpkg", layer="sample")
    assert frame["id"].tolist() == ["a1", "a2"]
    frame["label"] = [1, 2]
    pyogrio.write_dataframe(frame, tmp_path / "done.gpkg", layer="sample")
    assert sample_import(path, tmp_path / "done.gpkg", interpreter="A").answers == 2
    found = read_sample(path)
    assert [x.answer.label for x in found.labels] == [1, None, 2, None]
    assert [u.answer.label for u in found.units[:3]] == [None, 2, None]
    with pytest.raises(UsageError, match="asks A, B"):
        sample_import(path, tmp_path / "done.gpkg", interpreter="C")
    with pytest.raises(UsageError, match="nothing is asked of 'C'"):
        sample_export(path, out=tmp_path / "c.gpkg", interpreter="C")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,label\nzz,1\n", "its id is zz"),
        ("id,label\na1,1\na1,2\n", "stands twice"),
        ("id,label\na1,tundra\n", "no class"),
        ("id,cover\na1,1\n", "columns are cover, id"),
        ("id,label\n", "no answers"),
    ],
)
def test_wrong_answers_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = write_sample(tmp_path / "s.gpkg", sample())
    (tmp_path / "t.csv").write_text(text)
    before = path.read_bytes()
    with pytest.raises(InputError, match=words):
        sample_import(path, tmp_path / "t.csv")
    assert path.read_bytes() == before
