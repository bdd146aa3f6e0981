"""The verb: labelled scenes in, a bundle with its card out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.engines.torch_engine import choose_precision
from geoseg.errors import OutputConflictError, UsageError
from geoseg.execution.claim import claim
from geoseg.models.bundle import Bundle, load_bundle, save_bundle
from geoseg.training import pictures
from geoseg.training.batches import Batches
from geoseg.training.card import score_table, write_card
from geoseg.training.checkpoint import Progress
from geoseg.training.job import TrainJob
from geoseg.training.log import Log
from geoseg.training.loop import Trained, fit, measure
from geoseg.training.prepare import Core, Preparation, prepare
from geoseg.training.scores import CalibrationSample, calibrate
from geoseg.training.team import Team, join_team

Report = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Training:
    """A finished training.

    Attributes
    ----------
    bundle
        The model; None in the processes of a team that do not write it.
    history
        One row per validation.
    notes
        What the user should know.
    fresh
        False where the bundle was there already.
    """

    bundle: Bundle | None
    history: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    fresh: bool = True


def train(
    scenes: list[dict[str, Any]],
    *,
    out: str | Path,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: Report | None = None,
    **options: Any,
) -> Training:
    """Bundle trained on labelled scenes, in the folder `out`.

    Parameters
    ----------
    scenes
        Each with ``image`` and ``labels`` (see `LabelledScene`).
    device, threads
        Where to compute.
    overwrite
        Start again where another training is.
    progress
        Called with each row of the history.
    options
        The other fields of `TrainJob`.
    """
    job = TrainJob.parse({"scenes": scenes, "out": Path(out), **options})
    return run_train(job, device=device, threads=threads, overwrite=overwrite, progress=progress)


def run_train(
    job: TrainJob,
    *,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: Report | None = None,
) -> Training:
    """Run one `TrainJob`; interrupted in any way, the same call goes on where it was.

    Raises
    ------
    InputError, UsageError, ResourceError, OutputConflictError
        With what to do about it.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    with join_team(device) as team:
        if job.batch % team.world:
            raise UsageError(
                f"batch {job.batch} cannot be shared evenly by {team.world} processes",
                hint=f"batch: {-(-job.batch // team.world) * team.world}",
            )
        preparation = prepare(job)
        with claim(job.work) if team.leads else nullcontext():
            if team.leads:
                earlier = _finished(job, preparation, overwrite=overwrite)
            else:
                earlier = None
            if team.agree(earlier is not None):
                return Training(bundle=earlier, history=(), notes=preparation.notes, fresh=False)
            return _run(preparation, team, progress or (lambda _row: None))


def _finished(job: TrainJob, preparation: Preparation, *, overwrite: bool) -> Bundle | None:
    """Bundle that this job made earlier; what stands in the way is removed or refused."""
    if overwrite:
        for file in job.work.glob("*.safetensors"):
            file.unlink()
        return None
    if not job.out.exists() or (job.out.is_dir() and not any(job.out.iterdir())):
        return None
    bundle = load_bundle(job.out)
    if bundle.provenance.get("identity") == preparation.identity:
        return bundle
    raise OutputConflictError("holds another model", where=job.out, hint="another out, or --overwrite")


def _run(preparation: Preparation, team: Team, report: Report) -> Training:
    job = preparation.job
    if not team.leads:
        fit(preparation, team, job.work, lambda _progress: None)
        return Training(bundle=None, history=(), notes=preparation.notes)
    with Log(job.work, preparation.legend) as log:

        def after(progress: Progress) -> None:
            log.write(progress)
            report({**progress.history[-1], "steps": job.steps, "seconds": progress.seconds})

        trained = fit(preparation, team, job.work, after)
    bundle = _publish(preparation, trained, team)
    return Training(bundle=bundle, history=tuple(trained.progress.history), notes=preparation.notes)


def _publish(preparation: Preparation, trained: Trained, team: Team) -> Bundle:
    """Score the weights on all validation pixels, and write the bundle with its card."""
    job, progress, cores = preparation.job, trained.progress, preparation.cores
    batches = Batches(preparation)
    weights = [t for t in trained.network.state_dict().values() if t.is_floating_point()]
    half = all(bool(torch.isfinite(t.half()).all()) for t in weights)
    for tensor in weights if half else []:
        tensor.copy_(tensor.half())  # scored are the weights as they are stored
    network = trained.network.to(team.device)
    sample = CalibrationSample.for_pixels(int(preparation.validation_pixels.sum()))
    largest = max(c.window.area for c in cores)  # narrow windows at the scene's end make poor pictures
    looked_at = _spread([c for c in cores if c.window.area == largest], 48)
    rich = [(i, pictures.classes_in(batches.core(c)[1])) for i, c in enumerate(looked_at)]
    chosen = {id(looked_at[i]) for i in pictures.pick(rich)}
    shown: list[pictures.Shown] = []

    def watch(number: int, x: Tensor, truth: NDArray[np.uint8], guess: NDArray[np.uint8]) -> None:
        if id(cores[number]) in chosen:
            shown.append((x.numpy(), truth, guess))

    counts = measure(
        preparation,
        batches,
        network,
        cores,
        team.device,
        autocast=choose_precision(job.precision, team.device) == "bf16",
        sample=sample,
        watch=watch,
    )
    found = calibrate(sample)
    table = score_table(preparation, counts, found)
    network = network.cpu()
    card = write_card(
        preparation, progress, counts, found, table, parameters=sum(p.numel() for p in network.parameters())
    )
    return save_bundle(
        job.out,
        network,
        name=job.name or job.out.name,
        version=job.version,
        architecture=preparation.architecture,
        contract=preparation.contract,
        legend=preparation.legend,
        licence=job.licence,
        temperature=found.temperature,
        description=job.description or f"Classes: {', '.join(preparation.legend.names)}.",
        provenance={
            "data": job.data,
            "credit": job.credit,
            "command": "geoseg train train.yaml",
            "job": job.model_dump(mode="json", exclude_none=True),
            "identity": preparation.identity,
        },
        scores=table,
        half=half,
        overwrite=True,
        card=card,
        files={
            "curve.png": pictures.learning_curve(progress.history, preparation.legend, progress.best_step),
            "reliability.png": pictures.reliability_diagram(found),
            "confusion.png": pictures.confusion_picture(counts, preparation.legend),
            "samples.png": pictures.sample_picture(shown, preparation.legend),
            "train.yaml": job.dump().encode(),
        },
    )


def _spread(cores: Sequence[Core], most: int) -> list[Core]:
    return [cores[i] for i in np.unique(np.linspace(0, len(cores) - 1, min(most, len(cores))).astype(int))]
