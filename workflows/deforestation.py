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
from geoseg.report import figures
from geoseg.sampling.file import read_sample

FOREST, OTHER = "forest", "other"
LOSS = f"{FOREST} → {OTHER}"
_BUFFER = 3  # pixels


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
        Units to draw for labelling, in strata of loss, gain, stable forest and the rest, with a buffer of
        three pixels around loss where one can be made; 0 draws none. A sample that is there is kept.
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
    title: str = "Deforestation"
    reference_before: Path | None = None
    reference_after: Path | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def map_deforestation(study: Deforestation) -> dict[str, Any]:
    """Numbers of the study, as they stand in its ``summary.json``."""
    legend = geoseg.load_bundle(study.model).legend
    forest = {legend.find(name).name for name in study.forest}
    merged = {name: FOREST if name in forest else OTHER for name in legend.names}

    maps = [
        geoseg.predict(scene, model=study.model, out=study.out / date, **study.options).classes
        for date, scene in (("before", study.before), ("after", study.after))
    ]
    dates = {"date_before": study.date_before, "date_after": study.date_after}
    every = geoseg.change(*maps, out=study.out / "transitions", **dates)
    loss = geoseg.change(*maps, out=study.out / "forest", crosswalk=merged, strata_class=FOREST, **dates)

    traced = geoseg.vectorize(
        loss.raster, out=study.out / "forest" / "loss.gpkg", only=[LOSS], layer="loss", overwrite=True
    )
    polygons = gpd.read_file(traced.path, layer="loss")
    patches = polygons[polygons["area_ha"] >= study.min_hectares]
    patches.to_file(study.out / "loss.gpkg", layer="loss")
    figures.draw_change(*maps, study.out / "change.png", title="What changed")

    held, left, lost, gained = (
        _of_forest(loss, key) for key in ("before_ha", "after_ha", "loss_ha", "gain_ha")
    )
    summary: dict[str, Any] = {
        "forest_before_ha": held,
        "forest_after_ha": left,
        "loss_ha": lost,
        "gain_ha": gained,
        "loss_percent": round(100 * lost / held, 3) if held else None,
        "patches": len(patches),
        "patches_ha": round(float(patches["area_ha"].sum()), 4),
        "became": {
            r["to"]: r["hectares"]
            for r in every.records
            if r["kind"] == "changed" and r["from"] in forest and r["to"] not in forest
        },
        "unknown_at_one_date_ha": round(loss.transitions.unknown, 4),
    }
    rate = next((c["puyravaud_rate"] for c in loss.per_class if c["class"] == FOREST), None)
    if rate is not None:
        summary["percent_per_year"] = round(100 * rate, 4)
    if study.reference_before and study.reference_after:
        truth = geoseg.change(
            study.reference_before, study.reference_after, out=study.out / "reference", crosswalk=merged
        )
        scores = geoseg.evaluate(
            loss.raster, truth.raster, out=study.out / "reference" / "scores.json", overwrite=True
        )
        found = next(c for c in scores.per_class if c["class"] == LOSS)
        summary["reference"] = {
            "loss_ha": _of_forest(truth, "loss_ha"),
            **{f"loss_{k}": round(found[k], 4) for k in ("iou", "precision", "recall")},
        }
    results = [study.out / "transitions", study.out / "forest" / "transitions.json"]
    estimates = _estimated(study, loss)
    if estimates is not None:
        results.append(study.out / "estimates.json")
        summary["estimated"] = {
            c["class"]: {"hectares": round(c["area_ha"], 4), "se": round(c["area_ha_se"], 4)}
            for c in estimates.per_class
            if c["area"]
        }
    geoseg.write_report(results, out=study.out / "report", title=study.title)
    (study.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _estimated(study: Deforestation, loss: Any) -> Any:
    """Estimates from the sample as far as it is labelled, else None; it is drawn where there is none."""
    path = study.out / "sample.gpkg"
    if not path.exists():
        if study.sample:
            near_loss = _of_forest(loss, "loss_ha") and _of_forest(loss, "persistence_ha")
            around = {"buffer": _BUFFER} if near_loss else {}
            geoseg.sample_design(loss.raster, crosswalk=loss.strata, n=study.sample, out=path, **around)
        return None
    if all(unit.answer.state == "left" for unit in read_sample(path).units):
        return None
    return geoseg.sample_estimate(path, map=loss.raster, out=study.out / "estimates.json", overwrite=True)


def _of_forest(change: Any, column: str) -> float:
    """Hectares of the forest class; 0 where a map holds none."""
    return next((float(c[column]) for c in change.per_class if c["class"] == FOREST), 0.0)


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
