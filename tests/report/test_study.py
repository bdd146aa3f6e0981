"""A study's report says what its results say, runs nothing, and opens."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from matplotlib.image import imread

import geoseg
from geoseg.errors import InputError, OutputConflictError
from geoseg.estimation.verb import sample_estimate
from geoseg.raster.write import write_geotiff
from tests.estimation.makers import GRID, labels, write_drawn, write_map


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Estimates, a change and scores in one folder; a class is called like a formula."""
    folder = tmp_path_factory.mktemp("results")
    sample = write_drawn(folder / "sample.gpkg")
    sample_estimate(sample, out=folder / "estimates.json", ratio=["loss / loss,stable forest"])
    names = {"CLASS_2": "=1+1"}
    before = write_map(folder / "before.tif", **names)
    after = write_map(folder / "after.tif", np.roll(labels(), 40, 0), **names)
    geoseg.change(before, after, out=folder / "change")
    geoseg.evaluate(after, before, out=folder / "scores.json")
    return folder


@pytest.fixture(scope="module")
def report(results: Path) -> Path:
    out = results / "report"
    geoseg.write_report([results, results / "change"], out=out, title="A study")
    return out


def test_the_workbook_holds_every_table_as_numbers(report: Path, results: Path) -> None:
    book = openpyxl.load_workbook(report / "study.xlsx")
    expected = {
        "read-me",
        "estimates",
        "overall",
        "matrix",
        "strata",
        "ratios",
        "classes",
        "scores",
        "confusion",
    }
    assert expected <= set(book.sheetnames)
    rows = list(book["estimates"].iter_rows(values_only=True))
    records = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    said = json.loads((results / "estimates.json").read_text())["classes"]
    assert [r["area_ha"] for r in records] == pytest.approx([c["area_ha"] for c in said], rel=1e-14)
    assert [r["class"] for r in records] == [c["class"] for c in said]
    texts = [c for row in book["read-me"].iter_rows(values_only=True) for c in row if c]
    assert any("IPCC approach 2" in text for text in texts)
    assert any("too narrow" in text for text in texts)
    assert any(re.search(r"SHA-256 [0-9a-f]{64}", text) for text in texts)


def test_nothing_in_it_runs(report: Path) -> None:
    book = openpyxl.load_workbook(report / "study.xlsx")
    cells = [c for page in book for row in page.iter_rows() for c in row]
    assert all(c.data_type != "f" for c in cells)
    texts = {c.value for c in cells if isinstance(c.value, str)}
    assert "'=1+1" in texts and "=1+1" not in texts
    table = (report / "classes.csv").read_text()
    assert "'=1+1" in table and ",=1+1" not in table


def test_tables_are_the_sheets(report: Path) -> None:
    book = openpyxl.load_workbook(report / "study.xlsx")
    for page in book:
        name = re.sub(r"[^\w-]+", "_", page.title)
        with (report / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            assert sum(1 for _ in csv.reader(file)) == page.max_row


def test_methods_have_the_runs_own_numbers_and_cite_what_they_name(report: Path) -> None:
    text = (report / "methods.md").read_text()
    assert "a stratified random sample of 640 units" in text
    assert "The area of loss was 21,158 ± 6,157 ha (on the map 18,000 ha)" in text
    assert "Overall accuracy was 94.7 % ± 1.8 %" in text
    assert "The ratio loss / loss,stable forest was 6.9 % ± 1.9 %" in text
    body, references = text.split("## References")
    cited = set(re.findall(r"\(([A-Z][^()]*? \d{4})", body))
    assert cited and all(re.sub(r"[^A-Z].*", "", name.split()[0]) in references for name in cited)
    assert "Stehman, S. V. (2014)" in references and "Cochran" not in references


def test_pictures(report: Path) -> None:
    areas = imread(report / "areas.png")
    assert areas.shape[0] > 250 and areas[..., :3].std() > 0.1
    svg = (report / "sankey.svg").read_text()
    assert svg.count("stable forest") >= 2 and "<script" not in svg


def test_the_same_again_and_nothing_else_is_replaced(report: Path, results: Path, tmp_path: Path) -> None:
    before = (report / "sankey.svg").read_bytes()
    geoseg.write_report(results / "change", out=report)
    assert (report / "sankey.svg").read_bytes() == before
    (tmp_path / "study.xlsx").write_text("mine")
    with pytest.raises(OutputConflictError, match="no report wrote it"):
        geoseg.write_report(results, out=tmp_path)
    others = tmp_path / "others"
    others.mkdir()
    (others / "sankey.svg").write_text("mine")
    with pytest.raises(OutputConflictError, match=r"sankey.svg: exists. no report wrote it"):
        geoseg.write_report(results / "change", out=others)
    assert [p.name for p in others.iterdir()] == ["sankey.svg"]
    scores = (results / "scores.csv").read_bytes()
    with pytest.raises(OutputConflictError, match=r"scores.csv: exists. no report wrote it"):
        geoseg.write_report(results / "scores.json", out=results)
    assert (results / "scores.csv").read_bytes() == scores


def test_what_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="no result of a command that is reported"):
        geoseg.write_report(tmp_path / "a.json", out=tmp_path / "report")


def test_a_series(tmp_path: Path) -> None:
    """Tables beside series.json are the sheets of its years."""
    content = {
        "geoseg": "1",
        "dates": [{"name": "2001"}, {"name": "2016"}],
        "legend": [],
        "loss": {
            "of": ["forest"],
            "definition": "A",
            "pixels": 28658,
            "hectares": 153792.5,
            "pixels_by_definition": {"A": 28658, "A2": 26917, "B": 17825},
        },
        "notes": [],
    }
    (tmp_path / "series.json").write_text(json.dumps(content))
    (tmp_path / "areas.csv").write_text("date,class_id,class,pixels,hectares\n2001,4,forest,46647,250328.8\n")
    years = np.where(labels() == 1, 2005, np.where(labels() == 2, 20160301, 0)).astype(np.uint32)
    years[labels() == 4] = 2**32 - 1
    write_geotiff(tmp_path / "first_loss.tif", GRID, years, nodata=2**32 - 1)
    geoseg.write_report(tmp_path, out=tmp_path / "report")
    picture = imread(tmp_path / "report" / "loss_by_year.png")[..., :3]
    pale = (np.abs(picture - 0.92).max(-1) < 0.02).mean()
    coloured = (picture.max(-1) - picture.min(-1) > 0.2).mean()
    assert 0.8 < pale * 2 / coloured < 1.2, "two quarters have a year, one has none, one is unknown"
    assert (tmp_path / "report" / "areas_by_date.png").is_file()
    book = openpyxl.load_workbook(tmp_path / "report" / "study.xlsx")
    assert list(book["years"].iter_rows(values_only=True))[1] == (2001, 4, "forest", 46647, 250328.8)
    text = (tmp_path / "report" / "methods.md").read_text()
    assert (
        "First loss of forest by definition A was 153,792 ha (28,658 pixels; by definition A: 28,658" in text
    )
