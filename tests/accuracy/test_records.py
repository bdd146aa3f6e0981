"""One record per metric: wherever scores are shown, each number stands under its own heading."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import geoseg
from geoseg.accuracy import metrics
from geoseg.accuracy.boundary import BoundaryCounts
from geoseg.accuracy.card import bundle_scores, class_table, confusion_table, overall_line
from geoseg.accuracy.matrix import ConfusionMatrix
from geoseg.accuracy.metrics import METRICS, Metric
from geoseg.accuracy.scores import Scores
from geoseg.cli import evaluate as shown
from geoseg.legend import Legend

LEGEND = Legend.of({1: "forest", 2: "pasture", 3: "water"})
COUNTS = np.array([[50, 3, 0], [4, 20, 1], [2, 5, 15]], np.int64)


def specificity(counts: metrics.Counts) -> metrics.PerClass:
    total = counts.sum()
    wrongly = metrics.mapped(counts) - metrics.hits(counts)
    others = total - metrics.support(counts)
    return (others - wrongly) / others


def most_common(counts: metrics.Counts) -> float:
    return float(metrics.support(counts).max() / counts.sum())


def objects_found(pairs: tuple[int, int]) -> float:
    return pairs[0] / pairs[1]


PLANTED = (
    Metric(
        name="true_negatives",
        heading="true negatives",
        function=specificity,
        rule="r1",
        source="s",
        per_class=True,
    ),
    Metric(name="most_common", heading="most common", function=most_common, rule="r2", source="s"),
    Metric(
        name="objects_found",
        heading="objects found",
        function=objects_found,
        rule="r3",
        source="s",
        needs="sightings",
    ),
)


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", (*METRICS, *PLANTED))


def scores_of(counts, **options) -> Scores:
    matrix = ConfusionMatrix(legend=LEGEND, counts=counts, unmapped=np.zeros(len(LEGEND), np.int64))
    return Scores(matrix=matrix, **options)


def outlines() -> BoundaryCounts:
    hits, both = np.array([3, 2, 0]), np.array([5, 4, 0])
    return BoundaryCounts(distance=2, hits=hits, reference=both, mapped=both)


def printed(scores: Scores) -> str:
    import click

    return CliRunner().invoke(click.command()(lambda: shown._show(scores)), env={"COLUMNS": "200"}).output


def under(lines: list[str], heading: str, row: int) -> str:
    """Text of a row that ends where a heading of a right-aligned table ends."""
    end = re.search(rf"(?<!\S){re.escape(heading)}(?!\S)", lines[0]).end()
    return lines[row][:end].split()[-1]


@pytest.mark.parametrize("boundary", [None, outlines()], ids=["plain", "boundary"])
def test_in_the_terminal_every_number_stands_under_its_heading(planted, boundary):
    scores = scores_of(COUNTS, boundary=boundary)
    lines = printed(scores).splitlines()
    evidence = scores.evidence
    found = scores.metrics(per_class=True)
    assert [m.name for m in found][-1] == "true_negatives"
    for metric in found:
        for i in range(len(LEGEND)):
            value = metric.of(evidence)[i]
            expected = "-" if math.isnan(value) else f"{value:.1%}"
            assert under(lines, metric.heading, i + 1) == expected
    for i in range(len(LEGEND)):
        assert under(lines, "reference px", i + 1) == str(COUNTS.sum(axis=1)[i])
        assert under(lines, "map px", i + 1) == str(COUNTS.sum(axis=0)[i])
    for metric in scores.metrics(per_class=False):
        value = metric.of(evidence)
        text = f"{value:.1%}" if metric.share else f"{value:.3f}"
        assert f"{metric.heading} {text}" in lines[len(LEGEND) + 1]
    assert ("boundary IoU" in lines[0]) == (boundary is not None)


def test_in_files_every_number_stands_under_its_name_and_has_its_rule(planted):
    scores = scores_of(COUNTS)
    content = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    rows = list(csv.DictReader(io.StringIO(scores.to_csv())))
    frame = scores.to_table()
    for i, name in enumerate(LEGEND.names):
        expected = specificity(COUNTS)[i]
        assert content["classes"][i]["true_negatives"] == expected
        assert float(rows[i]["true_negatives"]) == expected
        assert frame.loc[name, "true_negatives"] == expected
        assert int(rows[i]["reference"]) == content["classes"][i]["reference"] == COUNTS[i].sum()
    assert content["overall"]["most_common"] == most_common(COUNTS)
    assert content["rules"]["true_negatives"] == "r1"
    for name in (*content["overall"], *(k for k in content["classes"][0] if k in {m.name for m in METRICS})):
        assert content["rules"][name]


def cells(table: str) -> list[list[str]]:
    return [[c.strip() for c in line.strip("|").split("|")] for line in table.splitlines()]


def test_on_cards_every_number_stands_under_its_heading(planted):
    evidence = {"counts": COUNTS}
    head, rule, *rows = cells(class_table(evidence, LEGEND, {"pixels": [7, 8, 9]}))
    columns = metrics.metrics_for(evidence, "card", per_class=True)
    assert head == ["class", "pixels", *(m.heading for m in columns)] and head[-1] == "true negatives"
    assert len(rule) == len(head)
    stored = bundle_scores(evidence, LEGEND, "some pixels")
    names = [m.name for m in columns]
    for i, (row, name) in enumerate(zip(rows, LEGEND.names, strict=True)):
        assert row[:2] == [name, str(7 + i)]
        assert list(stored["classes"][name]) == names
        assert row[2:] == [f"{stored['classes'][name][key]:.4f}" for key in names]
    assert stored["classes"]["water"]["true_negatives"] == round(specificity(COUNTS)[2], 4)
    assert stored["most_common"] == round(most_common(COUNTS), 4)
    assert f", most common **{most_common(COUNTS):.4f}**" in overall_line(evidence)
    assert cells(confusion_table(COUNTS, LEGEND, "a"))[3] == ["pasture", "4", "20", "1"]


def test_a_metric_of_other_evidence_appears_where_that_was_gathered(planted):
    assert "objects_found" not in scores_of(COUNTS).overall
    found = bundle_scores({"counts": COUNTS, "sightings": (3, 4)}, LEGEND, "")
    assert found["objects_found"] == 0.75
    assert "objects found **0.7500**" in overall_line({"sightings": (3, 4)}).casefold()


def test_one_rule_for_empty_and_one_sided_classes_everywhere():
    counts = np.array([[5, 0, 0], [3, 0, 0], [0, 0, 0]], np.int64)
    scores = scores_of(counts)
    evaluated = scores.to_json()["classes"]
    stored = bundle_scores({"counts": counts}, LEGEND, "")["classes"]
    table = cells(class_table({"counts": counts}, LEGEND, {}))[2:]
    for record, row in zip(evaluated, table, strict=True):
        card = stored[record["class"]]
        for key, value in card.items():
            found = record["dice" if key == "f1" else key]
            assert value == (None if found is None else round(found, 4))
        assert row[1:] == ["not there" if v is None else f"{v:.4f}" for v in card.values()]
    usual = ("iou", "f1", "precision", "recall")
    assert [stored["pasture"][key] for key in usual] == [0, 0, 0, 0]
    assert [stored["water"][key] for key in usual] == [None] * 4


def test_names_and_headings_are_used_once():
    for place in ("evaluation", "card"):
        there = [m for m in METRICS if m.only in {None, place}]
        assert len({m.name for m in there}) == len({m.heading for m in there}) == len(there)
    assert len({m.name for m in METRICS}) == len(METRICS)


def test_the_page_on_scores_has_the_row_of_every_metric():
    page = (Path(geoseg.__file__).parent.parent / "docs" / "scores.md").read_text(encoding="utf-8")
    rows = [f"| {m.heading} | `{m.name}` | {m.rule} | {m.source} |" for m in METRICS]
    listed = [line for line in page.splitlines() if re.match(r"\| [^|]+ \| `\w+` \|", line)]
    assert listed == rows
