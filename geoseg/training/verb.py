"""The verb: labelled scenes in, a bundle with its card out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Unpack

import torch
from torch import nn

from geoseg.errors import OutputConflictError, UsageError
from geoseg.execution.claim import claim
from geoseg.job import takes
from geoseg.legend import Legend
from geoseg.models.bundle import Bundle, load_bundle, require_bundle_place, save_bundle
from geoseg.models.description import ModelDescription
from geoseg.options import TrainOptions
from geoseg.results import as_json
from geoseg.training import pictures
from geoseg.training.batches import Batches
from geoseg.training.card import write_card
from geoseg.training.instance import InstanceTask
from geoseg.training.job import TrainJob
from geoseg.training.log import Log, OnRow
from geoseg.training.loop import Lessons, Trained, fit
from geoseg.training.prepare import Preparation, prepare
from geoseg.training.seen import experience_of
from geoseg.training.semantic import SemanticTask
from geoseg.training.several import SeveralTask
from geoseg.training.start import go_back, starting_network
from geoseg.training.task import Report, Task
from geoseg.training.team import Team, join_team

_MARGINS: Mapping[str, int] = MappingProxyType({"semantic": 32, "instance": 64, "panoptic": 64})
"""Pixels; objects that reach out of a tile's core by less are seen whole."""
_TASKS: Mapping[str, Callable[[Preparation, torch.device], Task]] = MappingProxyType(
    {"semantic": SemanticTask, "instance": InstanceTask, "panoptic": InstanceTask}
)


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

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self, path=None if self.bundle is None else self.bundle.path)


@takes(TrainJob)
def train(
    scenes: list[dict[str, Any]],
    *,
    out: str | Path,
    root: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: OnRow | None = None,
    **options: Unpack[TrainOptions],
) -> Training:
    """Bundle trained on labelled scenes, in the folder `out`.

    Parameters
    ----------
    scenes
        Each with ``image`` and ``labels`` (see `LabelledScene`).
    root
        Folder that relative paths of scenes and labels start from; the current one by default.
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
    return run_train(
        job,
        root=None if root is None else Path(root),
        device=device,
        threads=threads,
        overwrite=overwrite,
        progress=progress,
    )


def run_train(
    job: TrainJob,
    *,
    root: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: OnRow | None = None,
    on_notes: Callable[[Sequence[str]], None] | None = None,
) -> Training:
    """Run one `TrainJob`; interrupted in any way, the same call goes on where it was.

    Parameters
    ----------
    job
        What to train.
    root, device, threads, overwrite, progress
        As `train` takes them.
    on_notes
        Called with what the user should know before the first step.

    Raises
    ------
    InputError, UsageError, ResourceError, OutputConflictError
        With what to do about it.
    """
    require_bundle_place(job.out, overwrite=True, inputs=job.inputs(root or Path()), start=job.start)
    if threads is not None:
        torch.set_num_threads(threads)
    with join_team(device) as team:
        if job.batch % team.world:
            raise UsageError(
                f"batch {job.batch} cannot be shared evenly by {team.world} processes",
                hint=f"batch: {-(-job.batch // team.world) * team.world}",
            )
        preparation = prepare(job, root=root)
        if team.leads and on_notes is not None:
            on_notes(preparation.notes)
        with claim(job.work) if team.leads else nullcontext():
            if team.leads:
                earlier = _finished(job, preparation, overwrite=overwrite)
            else:
                earlier = None
            if team.agree(earlier is not None):
                return Training(bundle=earlier, history=(), notes=preparation.notes, fresh=False)
            return _run(preparation, root, team, progress or (lambda _row: None))


def _finished(job: TrainJob, preparation: Preparation, *, overwrite: bool) -> Bundle | None:
    """Bundle that this job made earlier; what stands in the way is removed or refused."""
    if overwrite:
        for file in job.work.rglob("*.safetensors"):
            file.unlink()
        return None
    if not job.out.exists() or (job.out.is_dir() and not any(job.out.iterdir())):
        return None
    bundle = load_bundle(job.out)
    if bundle.provenance.get("identity") == preparation.identity:
        return bundle
    raise OutputConflictError("holds another model", where=job.out, hint="another out, or `overwrite`")


def _run(preparation: Preparation, root: Path | None, team: Team, on_row: OnRow) -> Training:
    """Train once, or once for every fold and then on everything; the leader writes the bundle."""
    job, folds = preparation.job, preparation.job.split.folds
    task = _task(preparation, team.device)
    if folds is None:
        trained = _fit(preparation, task, team, job.work, on_row, "")
        parts, histories = [_examined(task, trained, team)], [trained.progress.history]
    else:
        parts, histories = [], []
        for fold in range(folds):
            held_out = prepare(job, root=root, fold=fold)
            name = f"fold {fold + 1}/{folds}  "
            own = _task(held_out, team.device)
            trained = _fit(held_out, own, team, job.work / f"fold-{fold + 1}", on_row, name)
            parts.append(_examined(own, trained, team))
            histories.append(trained.progress.history)
        trained = _fit(preparation, task, team, job.work / "all", on_row, "all  ")
        _store_half(trained.network)
    bundle = None
    if team.leads:
        report = task.report(parts)
        bundle = _publish(preparation, trained, report, averaged_history(histories))
    return Training(bundle=bundle, history=tuple(trained.progress.history), notes=preparation.notes)


def _colors_of(legend: Legend) -> dict[str, str]:
    """Colours of the figures that are of one class."""
    return {f"IoU {own.name}": own.color for own in legend.classes}


def _task(preparation: Preparation, device: torch.device) -> Task:
    """The kind of training that a preparation is for."""
    if len(preparation.tasks) > 1:
        return SeveralTask(preparation, device)
    return _TASKS[preparation.task](preparation, device)


def _fit(preparation: Preparation, task: Task, team: Team, work: Path, on_row: OnRow, part: str) -> Trained:
    job = preparation.job
    batches = Batches(preparation, rank=team.rank, world=team.world)
    lessons = Lessons(at=batches.at, loss=task.loss, figures=partial(task.figures, batches))
    course = job.course(preparation.identity)

    def start(fresh: bool) -> nn.Module:
        network = starting_network(preparation, fresh=fresh)
        task.check(network)
        return network

    if not team.leads:
        return fit(start, lessons, course, team, work, lambda _progress: None)
    with Log(work, _colors_of(preparation.legend)) as log:
        trained = fit(start, lessons, course, team, work, log.telling(on_row, job.steps, part))
    if preparation.start is not None and job.start_share:
        go_back(trained.network, preparation.start, job.start_share)
    return trained


def _examined(task: Task, trained: Trained, team: Team) -> Any:
    """What the leader finds on the validation part, with the weights as they are stored."""
    if not team.leads:
        return None
    _store_half(trained.network)
    return task.examine(trained.network)


def _store_half(network: nn.Module) -> bool:
    """Round weights to float16, as the bundle holds them, where all of them fit in; whether they do."""
    weights = [t for t in network.state_dict().values() if t.is_floating_point()]
    half = all(bool(torch.isfinite(t.half()).all()) for t in weights)
    for tensor in weights if half else []:
        tensor.copy_(tensor.half())
    return half


def averaged_history(histories: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Rows with the means of several histories; None where a value is missing in all."""

    def mean(values: Sequence[float | None]) -> float | None:
        known = [v for v in values if v is not None]
        return sum(known) / len(known) if known else None

    return [
        {
            **rows[0],
            "loss": mean([r["loss"] for r in rows]),
            "figures": {name: mean([r["figures"][name] for r in rows]) for name in rows[0]["figures"]},
        }
        for rows in zip(*histories, strict=True)
    ]


def _publish(
    preparation: Preparation, trained: Trained, report: Report, history: Sequence[dict[str, Any]]
) -> Bundle:
    """Write the bundle with its card."""
    job, progress, legend = preparation.job, trained.progress, preparation.legend
    network = trained.network.cpu()
    parameters = sum(p.numel() for p in network.parameters())
    card = write_card(preparation, progress, report, parameters=parameters)
    model = ModelDescription(
        name=job.name or job.out.name,
        version=job.version,
        architecture=preparation.architecture,
        contract=preparation.contract,
        legend=legend,
        licence=job.licence,
        temperature=report.temperature,
        tasks=preparation.tasks,
        objects=report.objects,
        margin=_MARGINS[preparation.task],
        description=job.description or f"Classes: {', '.join(legend.names)}.",
        provenance={
            "data": job.data,
            "credit": job.credit,
            "command": job.command,
            "job": job.placeless.model_dump(mode="json", exclude_none=True),
            "identity": preparation.identity,
        },
        experience=replace(
            experience_of(preparation),
            sureness=report.sureness,
        ),
        scores=report.scores,
    )
    return save_bundle(
        job.out,
        network,
        model,
        half=_store_half(network),
        overwrite=True,
        card=card,
        files={
            **report.pictures,
            "curve.png": pictures.learning_curve(history, _colors_of(legend), progress.best_step),
            "train.yaml": job.placeless.dump().encode(),
        },
    )
