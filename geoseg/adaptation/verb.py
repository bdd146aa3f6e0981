"""The verb: a scene, a few labels on it and a bundle in; a bundle that knows them out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from geoseg.adaptation.job import AdaptJob
from geoseg.errors import UsageError
from geoseg.job import takes
from geoseg.models.bundle import Bundle, load_bundle, require_bundle_place
from geoseg.options import AdaptOptions
from geoseg.raster.opening import open_scene
from geoseg.raster.sources import as_text
from geoseg.results import as_json
from geoseg.training.job import Labelled, TrainJob
from geoseg.training.log import OnRow
from geoseg.training.verb import run_train

_CROP, _BATCH = 128, 4
_AVERAGE = 0.9
_LIGHT_WINDOWS = 2  # in sixteen lights each: more would take longer than the training


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """A finished adaptation.

    Attributes
    ----------
    bundle
        The new model.
    before, after
        ``mean_iou`` and ``overall_accuracy`` on the labels that were held out; None where unknown.
    pixels
        Of the labels that were held out.
    notes
        What the user should know.
    fresh
        False where the bundle was there already.
    """

    bundle: Bundle
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]
    pixels: int
    notes: tuple[str, ...]
    fresh: bool

    @property
    def helped(self) -> bool:
        """Whether more of the labels that were held out are mapped right than before."""
        before, after = (s["overall_accuracy"] for s in (self.before, self.after))
        return before is None or after is None or after > before

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self, bundle=self.bundle.path, helped=self.helped)


@takes(AdaptJob)
def adapt(
    scene: str | Path | list[str | Path],
    labels: str | Path,
    *,
    model: str | Path,
    out: str | Path,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: OnRow | None = None,
    **options: Unpack[AdaptOptions],
) -> Adaptation:
    """Bundle in the folder `out` that started from `model` and learnt from labels on one scene.

    Parameters
    ----------
    scene, labels, model, out, options
        Fields of `AdaptJob`.
    device, threads
        Where to compute.
    overwrite
        Replace another bundle in `out`.
    progress
        Called with each row of the training's history.
    """
    fields = {"scene": as_text(scene), "labels": labels, "model": str(model), "out": out, **options}
    job = AdaptJob.parse(fields)
    return run_adapt(job, device=device, threads=threads, overwrite=overwrite, progress=progress)


def run_adapt(
    job: AdaptJob,
    *,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: OnRow | None = None,
) -> Adaptation:
    """Run one `AdaptJob`; interrupted in any way, the same call goes on where it was.

    Raises
    ------
    InputError, UsageError, ResourceError, OutputConflictError
        As training does.
    """
    require_bundle_place(job.out, overwrite=True, inputs=job.inputs(), start=job.model)
    start = load_bundle(job.model)
    if start.tasks != ("semantic",):
        raise UsageError(
            f"model {start.name} does not give a class to every pixel alone, and others are not adapted",
            why=f"it is {' and '.join(start.tasks)}",
            hint="a job of geoseg train that starts from it, with labels of its own kind",
        )
    files = [*map(Path, [job.scene] if isinstance(job.scene, str) else job.scene), job.labels]
    root = Path(os.path.commonpath([str(path.absolute().parent) for path in files]))
    training = training_of(job, start, root)
    done = run_train(
        training, root=root, device=device, threads=threads, overwrite=overwrite, progress=progress
    )
    assert done.bundle is not None  # one process, which leads
    scores = done.bundle.scores
    counted = scores["data"].split(maxsplit=1)[0]
    return Adaptation(
        bundle=done.bundle,
        before=scores["before"],
        after={name: scores[name] for name in scores["before"]},
        pixels=int(counted),
        notes=done.notes,
        fresh=done.fresh,
    )


def training_of(job: AdaptJob, start: Bundle, root: Path) -> TrainJob:
    """The training that an adaptation is: small steps from a bundle's weights, on crops around the labels.

    Its files are named from the folder `root`, so that its card tells nobody's folders.
    """
    legend = start.legend

    def below(path: str | Path) -> str:
        return str(Path(path).absolute().relative_to(root))

    image = below(job.scene) if isinstance(job.scene, str) else [below(p) for p in job.scene]
    labelled = {name: getattr(job, name) for name in Labelled.model_fields}
    return TrainJob.parse(
        {
            "scenes": [{**labelled, "image": image, "labels": below(job.labels)}],
            "out": job.out,
            "classes": dict(zip(legend.ids, legend.names, strict=True)),
            "colors": {c.id: c.color for c in legend.classes},
            "crosswalk": job.crosswalk,
            "bands": job.bands or _named_bands(job, start),
            "split": {"by": "feature", "share": job.held_out},
            "start": job.model,
            "steps": job.steps,
            "batch": _BATCH,
            "crop": _CROP,
            "sampling": "balanced",
            "augment": {"scale": 0.0, "gain": 0.05, "offset": 0.02},
            "loss": {"cross_entropy": 1.0},
            "learning_rate": job.learning_rate,
            "schedule": "cosine",
            "average": _AVERAGE,
            "validate_every": job.steps,
            "light_windows": _LIGHT_WINDOWS,
            "keep": "last",
            "seed": job.seed,
            "description": f"{start.name} {start.version}, adapted to one scene. {start.description}",
            "data": f"Labels on one scene, on top of what {start.name} {start.version} was trained on: "
            f"{start.provenance.get('data') or 'not described'}",
            "credit": start.provenance.get("credit", ""),
            "licence": start.licence,
            "limits": [
                f"It was fitted to one scene: use {start.name} elsewhere.",
                "The scores are of few labels, which lie where their author chose.",
            ],
            "command": f"geoseg adapt SCENE {job.labels.name} --model {start.name} --out {job.out.name}",
        }
    )


def _named_bands(job: AdaptJob, start: Bundle) -> list[int] | None:
    """Bands of a product, by the names in the model's contract; None for all of other scenes."""
    scene = open_scene(job.scene, **job.reading)
    order = start.contract.order_among(scene.band_names)
    return list(order) if scene.product and order is not None else None
