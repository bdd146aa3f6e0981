"""How steady a model is over dates of one place: labels that flip where the reference does not.

    python workflows/stability.py place_????.tif --labels "{}_label.tif" --classes 6=forest,4=non-forest

with `--model` and `--out` as in predict, and `--pixel-size` for pictures that lie nowhere.

Writes ``stability.csv`` with a row for each date and prints it. Two dates are compared in turn, where both
references have the same class and no other one lies within `--away` pixels, since dates may be shifted
against each other; other values of the references are not looked at. Maps that are there are kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

import geoseg
from geoseg.errors import GeosegError
from geoseg.files import write_together
from geoseg.legend import NODATA
from geoseg.tables import csv_text, markdown

_HEADINGS = ("date", "accuracy %", "compared px", "flipped %")


def flips(
    maps: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    references: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    away: int,
) -> tuple[int, int]:
    """(pixels compared, pixels whose label flips) between two dates of one place, all (h, w); 255 is none."""
    before, after = (_inside(reference, away) for reference in references)
    same = (before == after) & (before != NODATA) & (maps[0] != NODATA) & (maps[1] != NODATA)
    return int(same.sum()), int((same & (maps[0] != maps[1])).sum())


def _inside(reference: NDArray[np.uint8], away: int) -> NDArray[np.uint8]:
    """The reference where no other value lies within `away` pixels, 255 elsewhere."""
    side = 2 * away + 1
    alone = minimum_filter(reference, side) == maximum_filter(reference, side)
    return np.where(alone, reference, NODATA).astype(np.uint8)


def rows_of(
    dates: Iterable[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]], away: int
) -> list[list[str | float]]:
    """A row for each (date, map, reference), and one with the means."""
    rows: list[list[str | float]] = []
    earlier = None
    for date, found, reference in dates:
        known = (reference != NODATA) & (found != NODATA)
        row: list[str | float] = [date, round(100 * float((found == reference)[known].mean()), 2), "", ""]
        if earlier is not None:
            pixels, flipped = flips((earlier[0], found), (earlier[1], reference), away)
            row[2:] = [pixels, round(100 * flipped / max(pixels, 1), 2)]
        rows.append(row)
        earlier = found, reference
    means = [np.mean([float(r[at]) for r in rows if r[at] != ""]).round(2).item() for at in (1, 3)]
    return [*rows, ["mean", means[0], "", means[1]]]


def read_date(
    image: Path, labels: Path, classes: Mapping[int, str], pixel_size: float | None, **asked: Any
) -> tuple[str, NDArray[np.uint8], NDArray[np.uint8]]:
    """(name, map, reference) of a scene, in class ids of the model; its map is `asked` of `predict`."""
    done = geoseg.predict(image, pixel_size=pixel_size, **asked)
    found = geoseg.open_class_map(done.classes)
    known = geoseg.open_scene(labels, categorical=True, pixel_size=pixel_size)
    (values,), valid = known.read(found.grid.window)
    reference = np.full(values.shape, NODATA, np.uint8)
    for value, name in classes.items():
        reference[(values == value) & valid] = found.legend.find(name).id
    return image.stem, found.read(found.grid.window), reference


def main(arguments: list[str]) -> int:
    """Write and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", type=Path, help="scenes of one size, in order of date")
    parser.add_argument("--labels", required=True, help="name of the reference beside each, {} its own")
    parser.add_argument("--classes", required=True, help="value=class of the model, with commas")
    parser.add_argument("--model", default="forest-s2-rgb")
    parser.add_argument("--task", help="what to ask a model of several tasks: semantic, panoptic")
    parser.add_argument("--pixel-size", type=float, help="of scenes that lie nowhere")
    parser.add_argument("--away", type=int, default=4, help="pixels from the nearest other class")
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args(arguments)
    classes = {int(v): name for v, name in (part.split("=", 1) for part in given.classes.split(","))}
    dates = (
        read_date(
            image,
            image.with_name(given.labels.format(image.stem)),
            classes,
            given.pixel_size,
            model=given.model,
            task=given.task,
            out=given.out / image.stem,
        )
        for image in given.images
    )
    rows = rows_of(dates, given.away)
    write_together({given.out / "stability.csv": csv_text([_HEADINGS, *rows])})
    print(markdown(_HEADINGS, [[str(cell) for cell in row] for row in rows]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except GeosegError as error:
        sys.exit(str(error))
