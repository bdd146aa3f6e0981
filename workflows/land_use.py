"""A land-use map of one scene: classes, polygons, hectares per class, pictures, scores against a reference.

    geoseg demo && python workflows/land_use.py configs/land_use.yaml

The configuration names the scene, the model and, where there is one, the reference.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

import geoseg
from geoseg.errors import GeosegError
from geoseg.job import Job
from geoseg.report import figures


class LandUse(Job):
    """The study.

    Attributes
    ----------
    scene, model
        As in `geoseg.predict`.
    out
        Folder of the study.
    polygons
        Name of the polygon layer in it; its ending chooses the format.
    reference, field, crosswalk
        As in `geoseg.evaluate`; no scores without a reference.
    options
        Further options of `geoseg.predict`.
    """

    scene: str | list[str]
    model: str
    out: Path
    polygons: str = "classes.gpkg"
    reference: Path | None = None
    field: str | None = None
    crosswalk: Path | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def map_land_use(study: LandUse) -> pd.DataFrame:
    """Hectares, share and number of polygons per class; everything else lies in the study's folder."""
    prediction = geoseg.predict(study.scene, model=study.model, out=study.out / "map", **study.options)
    layer = geoseg.vectorize(prediction.classes, out=study.out / study.polygons, overwrite=True)

    total = sum(layer.hectares.values())
    areas = pd.DataFrame(
        {
            "class": c.name,
            "hectares": round(c.hectares, 2),
            "share": round(c.hectares / total, 5),
            "polygons": c.polygons,
        }
        for c in sorted(layer.classes, key=lambda c: -c.hectares)
    ).set_index("class")
    areas.to_csv(study.out / "areas.csv")

    figures.draw_classes(prediction.classes, study.out / "classes.png", title="Land use")
    scene = geoseg.open_scene(study.scene)
    figures.draw_scene(scene, study.out / "scene.png", title="Scene")
    figures.draw_polygons(
        scene,
        layer.path,
        study.out / "polygons.png",
        window=figures.busiest_window(prediction.classes),
        legend=geoseg.open_class_map(prediction.classes).legend,
    )
    if study.reference is not None:
        scores = geoseg.evaluate(
            prediction.classes,
            study.reference,
            field=study.field,
            crosswalk=study.crosswalk,
            out=study.out / "scores.json",
            overwrite=True,
        )
        figures.draw_confusion(scores.matrix.counts, scores.legend.names, study.out / "confusion.png")
        areas = areas.join(scores.to_table()[["iou", "precision", "recall"]].round(3))
    return areas


def main(arguments: list[str]) -> int:
    """Command line: the configuration, by default ``configs/land_use.yaml``."""
    config = Path(arguments[0] if arguments else "configs/land_use.yaml")
    try:
        study = LandUse.load(config)
        print(map_land_use(study).to_string())
    except GeosegError as error:
        print(f"land_use: {error}", file=sys.stderr)
        return error.exit_code
    print(f"\nEverything lies in {study.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
