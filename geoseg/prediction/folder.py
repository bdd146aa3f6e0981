"""The output folder of a prediction: which files are whose, and what is already there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import OutputConflictError, UsageError
from geoseg.execution.earlier import earlier_run
from geoseg.execution.ledger import Ledger
from geoseg.execution.manifest import MANIFEST, WORK
from geoseg.execution.resume import LEDGER, STORE
from geoseg.files import commit, remove_left, require_apart, require_out
from geoseg.prediction.job import PredictJob, objects_name
from geoseg.results import as_json
from geoseg.writers.formats import FORMATS

CLASSES_TIF, CONFIDENCE_TIF = "classes.tif", "confidence.tif"
STYLE, CONFIDENCE_STYLE = "classes.qml", "confidence.qml"
NOVELTY_TIF = "novelty.tif"
RUN_YAML, LOG = "run.yaml", "log.jsonl"

PANOPTIC_TIF = "panoptic.tif"

_OBJECTS = tuple(
    f"objects{suffix}" for known in FORMATS for suffix in (known.suffix, *known.companions, ".qml")
)
_PRODUCTS = (CLASSES_TIF, CONFIDENCE_TIF, NOVELTY_TIF, PANOPTIC_TIF, *dict.fromkeys(_OBJECTS), MANIFEST)
_BESIDE = (STYLE, CONFIDENCE_STYLE, RUN_YAML)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A finished prediction.

    Attributes
    ----------
    layers
        Paths of what it made, by name: ``classes`` and ``confidence`` (0-100 %, 255 nodata); of a model of
        objects ``objects``, polygons, and ``panoptic``, their ids as a raster (0 for none); ``novelty``
        (0-100 %, 255 nodata, a pixel for each square) where it was asked for.
    manifest
        Path of the manifest.
    pixels
        Pixels per class name, under ``nodata``, and where objects alone are known under ``no object``.
    objects_found
        Objects per class name; empty where the model knows none.
    seconds
        Wall time of this call.
    fresh
        False where everything was already there and only checked.
    notes
        What the user should know.
    """

    layers: Mapping[str, Path]
    manifest: Path
    run_id: str
    pixels: Mapping[str, int]
    objects_found: Mapping[str, int]
    seconds: float
    fresh: bool
    notes: tuple[str, ...]

    @property
    def mapped(self) -> int:
        """Pixels that got a class, which is what the time was spent on."""
        return sum(count for name, count in self.pixels.items() if name != "nodata")

    @property
    def classes(self) -> Path:
        """Path of the class map; UsageError where the model makes none."""
        return self._layer("classes")

    @property
    def confidence(self) -> Path:
        """Path of the confidence; UsageError where the model makes none."""
        return self._layer("confidence")

    @property
    def objects(self) -> Path:
        """Path of the polygons of objects; UsageError where the model makes none."""
        return self._layer("objects")

    @property
    def panoptic(self) -> Path:
        """Path of the raster of objects; UsageError where the model makes none."""
        return self._layer("panoptic")

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        said = as_json(self)
        return {**said.pop("layers"), **said}

    def _layer(self, name: str) -> Path:
        if name not in self.layers:
            why = f"there are {', '.join(self.layers)}"
            raise UsageError(f"the model makes no {name}", where=self.manifest.parent, why=why)
        return self.layers[name]


def require_free_of_inputs(job: PredictJob) -> None:
    """Nothing, if a job's folder can be written and nothing that it gets replaces an input."""
    require_out(job.out)
    for name in (*_PRODUCTS, *_BESIDE):
        require_apart(job.out / name, job.inputs())


def clear_partials(out: Path) -> None:
    """Remove what a killed publication left unfinished."""
    for name in (*_PRODUCTS, *_BESIDE):
        remove_left(out / name)


def make_way(out: Path, identity: Mapping[str, Any]) -> None:
    """Remove what an unfinished run of another identity left, or one whose account is damaged.

    A finished map stays until the new one is whole, and an unfinished run of this identity is gone on with.
    """
    try:
        if (out / WORK / LEDGER).exists():
            with Ledger(out / WORK / LEDGER, identity):
                return
    except OutputConflictError:
        for name in (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm"):
            (out / WORK / name).unlink(missing_ok=True)
        shutil.rmtree(out / WORK / STORE, ignore_errors=True)
    (out / LOG).unlink(missing_ok=True)


def replace_products(folder: Path, out: Path, files: Sequence[str]) -> None:
    """Give a run's files, which lie whole in `folder`, their names, the manifest last.

    From the first name until the last there is no manifest, so that no mixture passes for a finished run.
    """
    (out / MANIFEST).unlink(missing_ok=True)
    commit((folder / name, out / name) for name in files)
    for name in {*_PRODUCTS} - {*files, MANIFEST}:  # of an earlier run
        (out / name).unlink(missing_ok=True)
    commit([(folder / MANIFEST, out / MANIFEST)])


def finished(
    out: Path, identity: Mapping[str, Any], started: float, *, allow_missing: bool
) -> Prediction | None:
    """The finished run that is already here, checked; None where there is none.

    `allow_missing`: it may be one in which chunks failed.

    Raises
    ------
    OutputConflictError
        Other products are here, or this run's products were changed since.
    """
    hint = "`overwrite` to replace it, or another `out`"
    if (manifest := earlier_run(out, identity)) is not None:
        if (missing := manifest["chunks"]["failed"]) and not allow_missing:
            why = f"{len(missing)} chunks failed and were published as nodata on request"
            hint = "`overwrite` to compute it anew, or `allow_missing` to take it as it is"
            raise OutputConflictError("an incomplete map is here", where=out, why=why, hint=hint)
        return read_result(out, manifest, started, fresh=False)
    taken = [name for name in (*_PRODUCTS, *_BESIDE) if (out / name).exists()]
    if taken and not (out / WORK / LEDGER).exists():
        why = f"found {', '.join(taken)}, without a manifest of geoseg"
        raise OutputConflictError("files of these names are here", where=out, why=why, hint=hint)
    return None


def read_result(out: Path, manifest: Mapping[str, Any], started: float, *, fresh: bool) -> Prediction:
    """Prediction that a manifest describes; `started` is the clock when the call began."""
    named = {
        "classes": CLASSES_TIF,
        "confidence": CONFIDENCE_TIF,
        "objects": objects_name(manifest["identity"].get("objects_format", "gpkg")),
        "panoptic": PANOPTIC_TIF,
        "novelty": NOVELTY_TIF,
    }
    return Prediction(
        layers={layer: out / name for layer, name in named.items() if name in manifest["files"]},
        manifest=out / MANIFEST,
        run_id=str(manifest["run_id"]),
        pixels=dict(manifest["pixels"]),
        objects_found=dict(manifest.get("objects", {})),
        seconds=time.perf_counter() - started,
        fresh=fresh,
        notes=tuple(manifest["notes"]),
    )
