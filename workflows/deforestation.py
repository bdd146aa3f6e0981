"""Forest lost between two dates, and how sure that is: maps, change, a sample, estimates, a workbook.

    geoseg demo && python workflows/deforestation.py configs/deforestation.yaml

The configuration names the two scenes, the model, and which of its classes are forest. The first run draws
``sample.gpkg``, which is labelled in QGIS; the next one estimates areas and accuracies from what is labelled
by then.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import geopandas as gpd
from pydantic import Field

import geoseg
from geoseg.errors import GeosegError
from geoseg.job import Job
from geoseg.pipeline.job import PipelineJob
from geoseg.pipeline.verb import run_pipeline
from geoseg.report import figures

FOREST, OTHER = "forest", "other"
LOSS = f"{FOREST} → {OTHER}"


class Deforestation(Job):
    """The study.

    Attributes
    ----------
    before, after, model
        Scenes of the two dates, and the model for both, as in `geoseg.predict`.
    out
        Folder of the study.
    forest
        Classes of the model that count as forest.
    min_hectares
        Patches of loss below this are left out of ``loss.gpkg``; the totals hold every pixel.
    date_before, date_after
        When the scenes were taken, like 2019 or 2019-07-31, for yearly rates.
    sample
        Units to draw for labelling, in strata of loss, gain, stable forest and the rest; 0 draws none. A
        sample that is there is kept.
    buffer
        Pixels around loss in which stable forest is a stratum of its own; 0 makes none.
    title
        What the study is called.
    reference_before, reference_after
        Class maps to compare with, of the same classes; both or none.
    options
        Further options of `geoseg.predict`.
    """

    before: str | list[str]
    after: str | list[str]
    model: str
    out: Path
    forest: list[str]
    min_hectares: Annotated[float, Field(ge=0)] = 0.0
    date_before: str | int | None = None
    date_after: str | int | None = None
    sample: Annotated[int, Field(ge=0)] = 0
    buffer: Annotated[int, Field(ge=0)] = 3
    title: str = "Deforestation"
    reference_before: Path | None = None
    reference_after: Path | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def map_deforestation(study: Deforestation) -> dict[str, Any]:
    """Numbers of the study, as they stand in its ``summary.json``."""
    out, legend = study.out, geoseg.load_bundle(study.model).legend
    forest = {legend.find(name).name for name in study.forest}
    merged = {name: FOREST if name in forest else OTHER for name in legend.names}
    run_pipeline(_steps(study, merged))
    maps = [out / date / "classes.tif" for date in ("before", "after")]
    figures.draw_change(*maps, out / "change.png", title="What changed")
    polygons = gpd.read_file(out / "forest" / "changed.gpkg", layer="change")
    patches = polygons[(polygons["from_class"] == FOREST) & (polygons["area_ha"] >= study.min_hectares)]
    patches.to_file(out / "loss.gpkg", layer="loss")

    every, loss = (_read(out / name / "transitions.json") for name in ("transitions", "forest"))
    own = _of_forest(loss)
    summary: dict[str, Any] = {
        "forest_before_ha": own.get("before_ha", 0.0),
        "forest_after_ha": own.get("after_ha", 0.0),
        "loss_ha": own.get("loss_ha", 0.0),
        "gain_ha": own.get("gain_ha", 0.0),
        "loss_percent": round(100 * own["loss_ha"] / own["before_ha"], 3) if own.get("before_ha") else None,
        "patches": len(patches),
        "patches_ha": round(float(patches["area_ha"].sum()), 4),
        "became": {
            r["to"]: r["hectares"]
            for r in every["transitions"]
            if r["kind"] == "changed" and r["from"] in forest and r["to"] not in forest
        },
    }
    if own.get("puyravaud_rate") is not None:
        summary["percent_per_year"] = round(100 * own["puyravaud_rate"], 4)
    if study.reference_before and study.reference_after:
        truth = geoseg.change(
            study.reference_before, study.reference_after, out=out / "reference", crosswalk=merged
        )
        scores = geoseg.evaluate(
            out / "forest" / "change.tif", truth.raster, out=out / "reference" / "scores.json", overwrite=True
        )
        found = next(c for c in scores.per_class if c["class"] == LOSS)
        summary["reference"] = {
            "loss_ha": _of_forest(_read(out / "reference" / "transitions.json")).get("loss_ha", 0.0),
            **{f"loss_{k}": round(found[k], 4) for k in ("iou", "precision", "recall")},
        }
    if (out / "estimates.json").exists():
        summary["estimated"] = {
            c["class"]: {"hectares": round(c["area_ha"], 4), "se": round(c["area_ha_se"], 4)}
            for c in _read(out / "estimates.json")["classes"]
            if c["area"]
        }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _steps(study: Deforestation, merged: dict[str, str]) -> PipelineJob:
    """The study as steps of `geoseg run`; the estimate waits for the labels."""
    out, dates = study.out, {"date_before": study.date_before, "date_after": study.date_after}
    steps: dict[str, Any] = {
        "predict": [
            {"scene": scene, "model": study.model, "out": out / date, **study.options}
            for date, scene in (("before", study.before), ("after", study.after))
        ],
        "change": [
            {
                "out": out / "forest",
                "crosswalk": merged,
                "strata_class": FOREST,
                "polygons": out / "forest" / "changed.gpkg",
                **dates,
            },
            {"out": out / "transitions", **dates},
        ],
        "report": {"out": out / "report", "title": study.title},
    }
    if study.sample:
        around = {"buffer": study.buffer} if study.buffer else {}
        steps["sample"] = {"n": study.sample, "out": out / "sample.gpkg", **around}
        steps["estimate"] = {}
    return PipelineJob.parse(steps)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _of_forest(change: dict[str, Any]) -> dict[str, Any]:
    """Record of the forest class; empty where a map holds none."""
    return next((c for c in change["classes"] if c["class"] == FOREST), {})


def main(arguments: list[str]) -> int:
    """Command line: the configuration, by default ``configs/deforestation.yaml``."""
    config = Path(arguments[0] if arguments else "configs/deforestation.yaml")
    try:
        study = Deforestation.load(config)
        print(json.dumps(map_deforestation(study), indent=2))
    except GeosegError as error:
        print(f"deforestation: {error}", file=sys.stderr)
        return error.exit_code
    print(f"\nEverything lies in {study.out}; the patches of loss in loss.gpkg")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
