"""geoseg: land-use and deforestation maps from satellite scenes far larger than memory.

    import geoseg
    run = geoseg.predict("scene.tif", model="forest-s2-rgb", out="out")
    geoseg.vectorize(run.classes, out="out/classes.gpkg")
    geoseg.evaluate(run.classes, "reference.gpkg", out="out/scores.json")

Names are resolved on first use, so that importing geoseg loads neither torch nor dask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geoseg.version import __version__

if TYPE_CHECKING:
    from geoseg.adaptation.verb import adapt
    from geoseg.baselines.verb import fit
    from geoseg.changes.verb import change
    from geoseg.cleaning.verb import clean
    from geoseg.errors import GeosegError
    from geoseg.estimation.verb import sample_estimate
    from geoseg.evaluation.object_verb import evaluate_objects
    from geoseg.evaluation.verb import evaluate
    from geoseg.histories.verb import series
    from geoseg.landscapes.verb import landscape
    from geoseg.legend import Crosswalk, LandClass, Legend
    from geoseg.models.bundle import load_bundle
    from geoseg.pipeline.verb import run
    from geoseg.plots.verb import zones
    from geoseg.prediction.verb import plan, predict
    from geoseg.pretraining.verb import pretrain
    from geoseg.prompts.verb import prompt
    from geoseg.raster.classmap import open_class_map
    from geoseg.raster.opening import open_scene
    from geoseg.report.study import write_report
    from geoseg.sampling.design import sample_design
    from geoseg.sampling.exchange import sample_export, sample_import
    from geoseg.sampling.status import sample_status
    from geoseg.suggestions.verb import suggest
    from geoseg.training.verb import train
    from geoseg.vectorization.verb import vectorize

_EXPORTS = {
    "Crosswalk": "geoseg.legend",
    "GeosegError": "geoseg.errors",
    "LandClass": "geoseg.legend",
    "Legend": "geoseg.legend",
    "adapt": "geoseg.adaptation.verb",
    "change": "geoseg.changes.verb",
    "clean": "geoseg.cleaning.verb",
    "evaluate": "geoseg.evaluation.verb",
    "evaluate_objects": "geoseg.evaluation.object_verb",
    "fit": "geoseg.baselines.verb",
    "landscape": "geoseg.landscapes.verb",
    "load_bundle": "geoseg.models.bundle",
    "open_class_map": "geoseg.raster.classmap",
    "open_scene": "geoseg.raster.opening",
    "plan": "geoseg.prediction.verb",
    "predict": "geoseg.prediction.verb",
    "pretrain": "geoseg.pretraining.verb",
    "prompt": "geoseg.prompts.verb",
    "run": "geoseg.pipeline.verb",
    "sample_design": "geoseg.sampling.design",
    "sample_estimate": "geoseg.estimation.verb",
    "sample_export": "geoseg.sampling.exchange",
    "sample_import": "geoseg.sampling.exchange",
    "sample_status": "geoseg.sampling.status",
    "suggest": "geoseg.suggestions.verb",
    "series": "geoseg.histories.verb",
    "train": "geoseg.training.verb",
    "vectorize": "geoseg.vectorization.verb",
    "write_report": "geoseg.report.study",
    "zones": "geoseg.plots.verb",
}

__all__ = [
    "Crosswalk",
    "GeosegError",
    "LandClass",
    "Legend",
    "__version__",
    "adapt",
    "change",
    "clean",
    "evaluate",
    "evaluate_objects",
    "fit",
    "landscape",
    "load_bundle",
    "open_class_map",
    "open_scene",
    "plan",
    "predict",
    "pretrain",
    "prompt",
    "run",
    "sample_design",
    "sample_estimate",
    "sample_export",
    "sample_import",
    "sample_status",
    "series",
    "suggest",
    "train",
    "vectorize",
    "write_report",
    "zones",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'geoseg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
