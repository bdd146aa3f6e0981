"""The demo: the whole chain over a synthetic frontier scene, offline, with the truth to compare against."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geoseg.accuracy.scores import Scores
from geoseg.changes.result import Change
from geoseg.changes.verb import change
from geoseg.demo.files import DATES, reference_file, scene_file, write_scenes
from geoseg.demo.frontier import DEMO_SEED, DEMO_SHAPE, make_frontier
from geoseg.errors import OutputConflictError
from geoseg.evaluation.verb import evaluate
from geoseg.files import require_out, write_durably
from geoseg.prediction.folder import Prediction
from geoseg.prediction.verb import predict
from geoseg.report import figures
from geoseg.results import as_json
from geoseg.vectorization.verb import vectorize
from geoseg.version import __version__

MODEL = "demo-frontier"
MARKER = "demo.json"
"""File by which a folder is known to be a demo's, and may be written again."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo made.

    Attributes
    ----------
    out
        Its folder.
    predictions, scores
        One per date.
    mapped, true
        Change between the two class maps, and between the two references.
    files
        (what it is, path) of everything worth opening.
    seconds
        Wall time.
    """

    out: Path
    predictions: tuple[Prediction, Prediction]
    scores: tuple[Scores, Scores]
    mapped: Change
    true: Change
    files: tuple[tuple[str, Path], ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)

    def lost(self, name: str = "forest") -> tuple[float, float]:
        """Hectares of a class that became another: (mapped, true)."""
        return tuple(  # type: ignore[return-value]
            float(c.transitions.losses[c.transitions.names.index(name)]) for c in (self.mapped, self.true)
        )


@dataclass(slots=True)
class _Log:
    """Says what runs, and keeps the list of files."""

    say: Say
    files: list[tuple[str, Path]] = field(default_factory=list)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.say(f"{text} ({time.perf_counter() - start:.1f} s)")

    def keep(self, what: str, path: Path) -> Path:
        self.files.append((what, path))
        return path


def run_demo(
    out: str | Path,
    *,
    shape: tuple[int, int] = DEMO_SHAPE,
    seed: int = DEMO_SEED,
    model: str | Path = MODEL,
    threads: int | None = None,
    say: Say | None = None,
    progress: Callable[[Any], None] | None = None,
) -> Demo:
    """Everything geoseg does, in the folder `out`: scenes, class maps, polygons, scores, change, pictures.

    A second run with the same seed and shape checks the predictions that are there and writes the rest again;
    with others it replaces everything.

    Raises
    ------
    OutputConflictError
        A folder that holds something else.
    """
    start = time.perf_counter()
    folder = Path(out)
    _take(folder, shape=shape, seed=seed)
    log = _Log(say or (lambda _: None))
    with log.step("made a frontier scene at two dates"):
        log.files += write_scenes(folder, make_frontier(seed, shape))
    predictions = []
    for date in DATES:
        with log.step(f"predicted the classes {date}"):
            predictions.append(_predict(folder, date, model, threads, progress))
        log.keep(f"class map {date} (COG)", predictions[-1].classes)
    log.keep("confidence after, in percent", predictions[1].confidence)
    with log.step("traced the polygons"):
        for date, prediction in zip(DATES, predictions, strict=True):
            polygons = folder / date / "classes.gpkg"
            vectorize(prediction.classes, out=polygons, overwrite=True)
            log.keep(f"polygons {date}", polygons)
    with log.step("scored both maps against the exact references"):
        scores = tuple(
            evaluate(
                p.classes, reference_file(folder, date), out=folder / date / "scores.json", overwrite=True
            )
            for date, p in zip(DATES, predictions, strict=True)
        )
        log.keep("scores after", folder / "after" / "scores.json")
    with log.step("compared the dates"):
        mapped = change(predictions[0].classes, predictions[1].classes, out=folder / "change", overwrite=True)
        true = change(*(reference_file(folder, d) for d in DATES), out=folder / "change_true", overwrite=True)
        log.keep("change: raster, tables", folder / "change")
    with log.step("drew the pictures"):
        _draw(folder, predictions, scores[1], log)
    demo = Demo(
        out=folder,
        predictions=(predictions[0], predictions[1]),
        scores=(scores[0], scores[1]),
        mapped=mapped,
        true=true,
        files=tuple(log.files),
        seconds=time.perf_counter() - start,
    )
    write_durably(folder / "README.md", read_me(demo, seed))
    return demo


def read_me(demo: Demo, seed: int) -> str:
    """Text that explains the demo's folder to whoever opens it."""
    files = "\n".join(f"- `{path.relative_to(demo.out)}`: {what}" for what, path in demo.files)
    classes = "\n".join(
        f"| {a['class']} | {b['iou']:.3f} | {a['iou']:.3f} |"
        for b, a in zip(demo.scores[0].per_class, demo.scores[1].per_class, strict=True)
    )
    mapped, true = demo.lost()
    return f"""# geoseg demo

**Synthetic.** The scene was drawn by a program (seed {seed}) and the model `{MODEL}` was trained on scenes
drawn by the same program with other seeds. The scores show that the chain works; they say nothing about real
imagery.

{files}

| class | IoU before | IoU after |
|---|---|---|
{classes}

Forest lost between the dates: {mapped:,.0f} ha mapped, {true:,.0f} ha true (geodesic hectares).

```text
{HOW_TO_OPEN}
```
"""


HOW_TO_OPEN = """How to open it
  QGIS: drag after/classes.tif and after/classes.gpkg into the window; colours and names come with them.
  ArcGIS Pro: Add Data, the same two files; the raster brings its colours, the layer a field class_name.
  Python: geoseg.open_class_map("after/classes.tif").to_xarray()"""


def _take(folder: Path, *, shape: tuple[int, int], seed: int) -> None:
    """Make the folder the demo's; refuse one that holds anything else."""
    require_out(folder)
    marker = folder / MARKER
    if folder.exists() and not marker.is_file() and any(folder.iterdir()):
        raise OutputConflictError(
            "is not a demo's folder",
            where=folder.absolute(),
            why="it holds other files",
            hint="another `out`",
        )
    record = {"geoseg": __version__, "seed": seed, "shape": list(shape)}
    write_durably(marker, json.dumps(record, indent=2) + "\n")


def _predict(
    folder: Path,
    date: str,
    model: str | Path,
    threads: int | None,
    progress: Callable[[Any], None] | None,
) -> Prediction:
    def attempt(*, overwrite: bool) -> Prediction:
        return predict(
            scene_file(folder, date),
            model=model,
            out=folder / date,
            threads=threads,
            engine="torch",  # to look for another one pays for who maps more than two dates
            overwrite=overwrite,
            progress=progress,
        )

    try:
        return attempt(overwrite=False)
    except OutputConflictError:  # an earlier demo of another seed, size, model or version
        return attempt(overwrite=True)


def _draw(folder: Path, predictions: list[Prediction], scores: Scores, log: _Log) -> None:
    pictures = folder / "pictures"
    for date, prediction in zip(DATES, predictions, strict=True):
        scene = scene_file(folder, date)
        figures.draw_scene(scene, pictures / f"scene_{date}.png", title=f"Scene {date}")
        figures.draw_classes(prediction.classes, pictures / f"classes_{date}.png", title=f"Classes {date}")
    before, after = (p.classes for p in predictions)
    figures.draw_change(before, after, pictures / "change.png", title="What changed")
    figures.draw_polygons(
        scene_file(folder, "after"),
        folder / "after" / "classes.gpkg",
        pictures / "polygons.png",
        window=figures.busiest_window(after),
        legend=scores.legend,
        title="Polygons on the pixels' edges",
    )
    figures.draw_confusion(scores.matrix.counts, scores.legend.names, pictures / "confusion.png")
    log.keep("pictures: scenes, classes, change, polygons, confusion matrix", pictures)
