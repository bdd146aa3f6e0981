"""The verb: unlabelled scenes in, weights of an encoder out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from geoseg.engines.torch_engine import choose_device, choose_precision
from geoseg.errors import OutputConflictError
from geoseg.execution.claim import claim
from geoseg.files import require_free, require_place, sha256_of, whole, write_durably
from geoseg.job import takes
from geoseg.models.encoder_weights import download_encoder, load_encoder
from geoseg.models.weights import write_weights
from geoseg.options import PretrainOptions
from geoseg.pretraining.consistency import Consistency, Described
from geoseg.pretraining.job import PretrainJob
from geoseg.pretraining.pairs import Pairs
from geoseg.pretraining.prepare import Preparation, prepare
from geoseg.results import as_json
from geoseg.training.log import Log, OnRow
from geoseg.training.loop import Lessons, Trained, fit
from geoseg.training.team import Team
from geoseg.version import __version__

_PLACES = {"scenes", "out", "mask", "encoder_weights"}
"""Fields that are left out of a card, which goes where others read it."""


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """Finished weights of an encoder.

    Attributes
    ----------
    path
        Their file, for `encoder_weights` of a training.
    card
        What is written beside them: encoder, bands, scenes, digest, figures and job.
    history
        One row per validation.
    notes
        What the user should know.
    fresh
        False where the weights were there already.
    """

    path: Path
    card: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    fresh: bool = True

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@takes(PretrainJob)
def pretrain(
    scenes: list[str | Path],
    *,
    out: str | Path,
    root: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: OnRow | None = None,
    **options: Unpack[PretrainOptions],
) -> Pretraining:
    """Weights of an encoder learnt from scenes without labels, in the file `out`.

    Parameters
    ----------
    scenes, out, options
        Fields of `PretrainJob`.
    root
        Folder that relative paths of scenes start from; the current one by default.
    device, threads
        Where to compute.
    overwrite
        Replace other weights, and start again where another pretraining is.
    progress
        Called with each row of the history.
    """
    return run_pretrain(
        PretrainJob.parse({"scenes": scenes, "out": Path(out), **options}),
        root=None if root is None else Path(root),
        device=device,
        threads=threads,
        overwrite=overwrite,
        progress=progress,
    )


def run_pretrain(
    job: PretrainJob,
    *,
    root: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    progress: OnRow | None = None,
    on_notes: Callable[[Sequence[str]], None] | None = None,
) -> Pretraining:
    """Run one `PretrainJob`; interrupted in any way, the same call goes on where it was.

    Parameters
    ----------
    job
        What to pretrain.
    root, device, threads, overwrite, progress
        As `pretrain` takes them.
    on_notes
        Called with what the user should know before the first step.

    Raises
    ------
    InputError, UsageError, ResourceError, OutputConflictError
        With what to do about it; InputError too, where the encoder collapses.
    """
    for file in (job.out, job.card):
        require_place(file)
        # files that are there are judged by `_finished`
        require_free(file, overwrite=True, inputs=job.inputs(root or Path()))
    if threads is not None:
        torch.set_num_threads(threads)
    team = Team(rank=0, world=1, device=choose_device(device))
    preparation = prepare(job, root=root)
    with torch.device("meta"):  # an encoder that cannot be is refused before any work
        Described(job.encoder, len(preparation.contract.bands))
    if on_notes is not None:
        on_notes(preparation.notes)
    with claim(job.work):
        earlier = _finished(preparation, overwrite=overwrite)
        if earlier is not None:
            return Pretraining(path=job.out, card=earlier, history=(), notes=preparation.notes, fresh=False)
        trained = _fit(preparation, team, progress or (lambda _row: None))
        card = _publish(preparation, trained)
    return Pretraining(
        path=job.out, card=card, history=tuple(trained.progress.history), notes=preparation.notes
    )


def _finished(preparation: Preparation, *, overwrite: bool) -> dict[str, Any] | None:
    """Card of the weights that this job made earlier; what stands in the way is removed or refused."""
    job = preparation.job
    if overwrite:
        for file in job.work.rglob("*.safetensors"):
            file.unlink()
        return None
    if not job.out.exists() and not job.card.exists():
        return None
    try:
        card: dict[str, Any] = json.loads(job.card.read_text(encoding="utf-8"))
        if card["identity"] == preparation.identity and card["sha256"] == sha256_of(job.out):
            return card
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not ours, or not whole
    raise OutputConflictError(
        "is there already, and not of this job", where=job.out, hint="another `out`, or `overwrite`"
    )


def _fit(preparation: Preparation, team: Team, on_row: OnRow) -> Trained:
    job, pairs = preparation.job, Pairs(preparation)
    task = Consistency(
        pairs.judged(), team.device, autocast=choose_precision(job.precision, team.device) == "bf16"
    )

    def start(fresh: bool) -> nn.Module:
        network = Described(job.encoder, len(preparation.contract.bands))
        if fresh and job.encoder_weights == "hub":
            download_encoder(network, job.encoder)
        elif fresh and job.encoder_weights is not None:
            load_encoder(network, job.encoder_weights)
        return network

    lessons = Lessons(at=pairs.at, loss=task.loss, figures=task.figures)
    with Log(job.work, {}) as log:
        course = job.course(preparation.identity)
        return fit(start, lessons, course, team, job.work, log.telling(on_row, job.steps))


def _publish(preparation: Preparation, trained: Trained) -> dict[str, Any]:
    """Write the encoder's weights, then their card."""
    job = preparation.job
    encoder = trained.network.encoder
    assert isinstance(encoder, nn.Module)
    with whole(job.out) as partial:
        write_weights(encoder.state_dict(), partial, half=False)
    card = {
        "encoder": job.encoder,
        "use": f"encoder: {job.encoder} and encoder_weights: {job.out.name} in a job of geoseg train",
        "sha256": sha256_of(job.out),
        "input": preparation.contract.to_json(),
        "scenes": [Path(scene.name).name for scene in preparation.scenes],
        "figures": trained.progress.history[-1]["figures"],
        "job": job.model_dump(mode="json", exclude=_PLACES, exclude_none=True),
        "identity": preparation.identity,
        "geoseg": __version__,
    }
    write_durably(job.card, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return card
