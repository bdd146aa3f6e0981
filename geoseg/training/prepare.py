"""Everything that is settled before the first step: scenes, split, index, constants, network, identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.legend import NODATA, Legend
from geoseg.models.architectures import OBJECTS, SEVERAL, Architecture, resolve
from geoseg.models.bundle import Bundle, load_bundle
from geoseg.models.contract import InputContract, SceneProfile, Sensor
from geoseg.models.encoder_weights import digest_of
from geoseg.models.object_rule import Task
from geoseg.raster.opening import open_scene
from geoseg.raster.scene import Scene
from geoseg.training.collection import expand, require_alike
from geoseg.training.job import LABEL_NAMES, LabelledScene, TrainJob
from geoseg.training.samples import CellIndex, Source, crop_window, index_cells, occupied
from geoseg.training.split import deal, held_out, region_of, share_ground
from geoseg.training.statistics import Tone, band_statistics, contract_of, scene_tones, training_windows
from geoseg.training.targets import Targets, targets_of
from geoseg.truth.layer import Truth, TruthFile
from geoseg.truth.open import open_truth
from geoseg.version import __version__

_DEFAULT = ("unet", "mobilenet_v2")
_SIDE, _MARGIN = 512 + 64, 32  # of validation windows; a picture of 512 px is seen whole
_BLOCK = 1024
_WIDE_CROP, _OF_DEEP_LAYERS = 128, {"mask_rcnn", "panoptic_fpn", "mask2former", "one_decoder"}
_OF_PIXELS = {
    "loss",
    "class_weights",
    "label_smoothing",
    "focal_gamma",
    "tversky_alpha",
    "tversky_beta",
    "tta",
}
_WORDS = {"out", "name", "description", "data", "credit", "licence", "limits", "command"}


@dataclass(frozen=True, kw_only=True)
class Core:
    """One validation window: its number among all, its source, and the pixels scored in it."""

    number: int
    source: int
    window: Window


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """A training that can start.

    Attributes
    ----------
    tasks, targets
        What the network is to answer, the first of them by default, and what it is taught for that.
    sources
        All scenes; those that are for validation alone are not in `index`.
    index
        Where training crops may be drawn.
    cores
        Validation windows with at least one labelled validation pixel; none where folds were made and all
        pixels teach.
    side, margin
        What the network sees at once in validation, and how much of it around the core is not scored.
    validation_pixels
        (K,) pixels of each of the targets' names in them.
    tones
        How light each scene is.
    always
        Scenes that teach in every fold and are never scored.
    identity
        SHA-256 of the job, the data and the version.
    """

    job: TrainJob
    tasks: tuple[Task, ...]
    legend: Legend
    targets: Targets
    sources: tuple[Source, ...]
    index: CellIndex
    cores: tuple[Core, ...]
    side: int
    margin: int
    validation_pixels: NDArray[np.int64]
    tones: tuple[Tone, ...]
    always: int
    contract: InputContract
    architecture: Architecture
    start: Bundle | None
    identity: str
    notes: tuple[str, ...]

    @property
    def task(self) -> Task:
        """What the network is to answer by default."""
        return self.tasks[0]

    @property
    def training_pixels(self) -> NDArray[np.int64]:
        """(K,) pixels of each of the targets' names within reach of training crops."""
        total: NDArray[np.int64] = self.index.counts.sum(axis=0, dtype=np.int64)
        return total


def prepare(job: TrainJob, *, root: Path | None = None, fold: int | None = None) -> Preparation:
    """Preparation of a job; reads the labels once, and training windows for the constants.

    Parameters
    ----------
    job
        What to train.
    root
        Folder that relative paths of scenes start from.
    fold
        Where the split has folds: which one is for validation, from 0; None lets all pixels teach.

    Raises
    ------
    InputError, UsageError
        Files that cannot be used or do not go together, a split that leaves nothing on either side.
    """
    start = None if job.start is None else load_bundle(job.start)
    architecture = _architecture(job, start)
    tasks = _tasks(architecture.name, job)
    task = tasks[0]
    legend = _legend(job, task, architecture.name)
    if start is not None and job.start_share:
        _require_classes(start, legend)
    architecture = _with_things(architecture, task, legend)
    targets = targets_of(tasks, legend)
    entries = expand(job.scenes, root)
    opened = [_open(scene, job, legend) for scene in entries]
    scenes = [scene for scene, _ in opened]
    require_alike(scenes)
    for _, labels in opened:
        targets.check(labels)
    uses = _uses(job, entries, opened, targets, fold)
    sources = _split(job, opened, targets, uses, fold)
    training = [s for s, use in zip(sources, uses, strict=True) if use != "validation"]
    index = index_cells(training, targets, job.crop)
    missing = _without_pixels(targets, index.counts.sum(axis=0))
    notes = [f"no training pixel of {missing}"] if missing else []
    side, margin = _validation_side(job.crop, scenes)
    cores, pixels = _validation(sources, targets, side - 2 * margin)
    if not cores and (job.split.folds is None or fold is not None):
        raise InputError(
            "no labelled pixel in the validation part",
            hint="another region, a smaller block, or more labels: a model without scores is not made",
        )
    absent = _without_pixels(targets, pixels) if cores else ""
    notes += [f"no validation pixel of {absent}: it has no score"] if absent else []
    notes += _on_crop(architecture.name, job.crop)
    contract = _contract(job, training, index, start)
    # training sources first in `sources`, so that the numbers in the index hold
    ordered = [*training, *(s for s in sources if s not in training)]
    place = {id(s): i for i, s in enumerate(ordered)}
    return Preparation(
        job=job,
        tasks=tasks,
        legend=legend,
        targets=targets,
        sources=tuple(ordered),
        index=index,
        cores=tuple(replace(c, source=place[id(sources[c.source])]) for c in cores),
        side=side,
        margin=margin,
        validation_pixels=pixels,
        tones=scene_tones([s.scene for s in ordered], job.crop, np.array(contract.fill)),
        always=0 if job.split.folds is None else sum(entry.use == "training" for entry in entries),
        contract=contract,
        architecture=architecture,
        start=start,
        identity=_identity(job, opened, start, fold),
        notes=tuple(dict.fromkeys([*(n for pair in opened for part in pair for n in part.notes), *notes])),
    )


def _require_classes(start: Bundle, legend: Legend) -> None:
    """UsageError where weights cannot be moved back towards a bundle, which has other classes."""
    if len(start.legend) != len(legend):
        raise UsageError(
            "start_share: the bundle to start from has other classes",
            where=start.path,
            why=f"it has {len(start.legend)}, the job {len(legend)}",
            hint="the same classes, or start_share: 0",
        )


def _without_pixels(targets: Targets, counts: NDArray[np.int64]) -> str:
    """Names of the targets that have no pixel, in one line."""
    return ", ".join(name for name, count in zip(targets.names, counts, strict=True) if not count)


def _tasks(name: str, job: TrainJob) -> tuple[Task, ...]:
    """What the architecture is to answer: where it can be of several tasks, `things` ask for stuff too."""
    if name in SEVERAL:
        return SEVERAL[name]
    first, *more = OBJECTS.get(name, ("semantic",))
    return ("panoptic" if "panoptic" in more and job.things is not None else first,)


def _legend(job: TrainJob, task: Task, name: str) -> Legend:
    """Classes of the job, with those that are things where the architecture knows objects."""
    if task != "panoptic" and job.things is not None:
        raise UsageError(
            f"things: not for architecture {name!r}",
            why="it knows no objects" if task == "semantic" else "all its classes are things",
            hint="without, or a panoptic model",
        )
    if task == "semantic":
        if job.augment.paste:
            raise UsageError(
                f"augment: paste: not for architecture {name!r}", why="it knows no objects", hint="paste: 0"
            )
        if len(job.classes) < 2:
            raise UsageError(
                "at least two classes", hint="another name for everything else, or a model of objects"
            )
        return job.legend
    given = job.model_dump(include=_OF_PIXELS, exclude_defaults=True)
    if given:
        raise UsageError(
            f"{', '.join(sorted(given))}: not for architecture {name!r}",
            why="its losses are its own, and it is scored by objects",
            hint="without",
        )
    legend = job.legend
    things = set(legend.ids) if task == "instance" else {legend.find(t).id for t in job.things or ()}
    if task == "panoptic" and not 0 < len(things) < len(legend):
        raise UsageError(
            f"architecture {name!r} needs classes of things and others",
            why=f"{len(things)} of {len(legend)} classes are things",
            hint="things: [house], say; or a model of objects alone",
        )
    return Legend(tuple(replace(c, kind="thing") if c.id in things else c for c in legend.classes))


def _with_things(architecture: Architecture, task: Task, legend: Legend) -> Architecture:
    """The architecture told which positions are things, where it has others too."""
    if task != "panoptic":
        return architecture
    things = [position for position, own in enumerate(legend.classes) if own.kind == "thing"]
    return replace(architecture, arguments=MappingProxyType({**architecture.arguments, "things": things}))


def _on_crop(name: str, crop: int) -> list[str]:
    """What is to be said of a crop in which the layers that find objects see little but padding."""
    if name not in _OF_DEEP_LAYERS or crop >= _WIDE_CROP:
        return []
    return [
        f"crops of {crop} pixels are too small for {name}: its deep layers see little but padding there, and "
        f"in wider tiles it may find nothing. Take `crop: {_WIDE_CROP}` or more, or interior_rim"
    ]


def _validation_side(crop: int, scenes: Sequence[Scene]) -> tuple[int, int]:
    """Side of what the network sees in validation, and the margin in it.

    As wide as the tiles of a prediction, if the scenes are; a crop is narrower, and would score a model
    that is used with less context than it gets.
    """
    margin = min(_MARGIN, crop // 8)
    widest = max(max(s.grid.shape) for s in scenes) + 2 * margin
    return max(crop, min(_SIDE, -(-widest // 32) * 32)), margin


def _uses(
    job: TrainJob,
    entries: Sequence[LabelledScene],
    opened: Sequence[tuple[Scene, Truth]],
    targets: Targets,
    fold: int | None,
) -> list[str | None]:
    """What each scene is for, where whole scenes are split."""
    split = job.split
    if split.by != "file" or split.folds is None:
        return [entry.use for entry in entries]
    groups: dict[str, list[int]] = {}
    for number, entry in enumerate(entries):
        if entry.use is None:
            name = f"scene {number}" if entry.group is None else f"group {entry.group}"
            groups.setdefault(name, []).append(number)
    if len(groups) < split.folds:
        raise UsageError(
            f"{len(groups)} {'groups of scenes' if any(e.group for e in entries) else 'scenes'} "
            f"cannot make {split.folds} folds",
            hint="fewer folds, or a split by block",
        )
    first = [_share_of_first([opened[n] for n in group], targets) for group in groups.values()]
    order = np.argsort(first, kind="stable")
    dealt = np.empty(len(groups), np.intp)
    dealt[order] = deal(len(groups), split.folds, job.seed)
    held_out = {n for group, own in zip(groups.values(), dealt, strict=True) if own == fold for n in group}
    return ["validation" if n in held_out else "training" for n in range(len(opened))]


def _share_of_first(scenes: Sequence[tuple[Scene, Truth]], targets: Targets) -> float:
    """Share of the first class among the labelled pixels; what evenly dealt folds are sorted by."""
    counts = np.zeros(256, np.int64)
    for scene, labels in scenes:
        for window in scene.grid.window.blocks(_BLOCK, _BLOCK):
            counts += np.bincount(targets.places(labels, window).ravel(), minlength=256)
    return float(counts[0] / max(counts[:NODATA].sum(), 1))


def _open(scene: LabelledScene, job: TrainJob, legend: Legend) -> tuple[Scene, Truth]:
    image = open_scene(scene.image, bands=job.bands, **scene.reading)
    return image, open_labels(scene, image.grid, legend, job.crosswalk)


def open_labels(
    scene: LabelledScene, grid: Grid, legend: Legend, crosswalk: Path | Mapping[Any, Any] | None
) -> Truth:
    """Labels of a scene, on its grid; errors as in `open_truth`.

    The crosswalk is of those that have values: a layer of a single class needs none.
    """
    file = TruthFile(
        path=scene.labels,
        field=scene.field,
        layer=scene.layer,
        band=scene.labels_band,
        crosswalk=crosswalk if scene.single_class is None else None,
        single_class=scene.single_class,
        background=scene.background,
        reading={"assume_crs": scene.assume_crs, "allow_vrt": scene.allow_vrt},
        overlap=scene.overlap,
        repair=scene.repair,
        encoding=scene.encoding,
        all_touched=scene.all_touched,
        role="label layer",
        ground="image",
        names=LABEL_NAMES,
    )
    return open_truth(file, grid, legend)


def _split(
    job: TrainJob,
    opened: Sequence[tuple[Scene, Truth]],
    targets: Targets,
    uses: Sequence[str | None],
    fold: int | None,
) -> list[Source]:
    regions = []
    for number, ((scene, labels), use) in enumerate(zip(opened, uses, strict=True)):
        squares = np.zeros((0, 0), np.bool_)
        if job.split.by == "block":
            squares = occupied(labels, targets, scene.grid.shape, job.split.block)
        if job.split.by == "feature":
            regions.append(held_out(labels, job.split.share, job.seed))
            continue
        seed = job.seed + number
        regions.append(region_of(job.split, scene.grid, use=use, labelled=squares, seed=seed, fold=fold))
    regions = share_ground(regions, [scene.grid for scene, _ in opened])
    return [
        Source(scene=scene, labels=labels, region=region)
        for (scene, labels), region in zip(opened, regions, strict=True)
    ]


def _validation(
    sources: Sequence[Source], targets: Targets, side: int
) -> tuple[list[Core], NDArray[np.int64]]:
    pixels = np.zeros(len(targets.names), np.int64)
    cores: list[Core] = []
    for number, source in enumerate(sources):
        for window in source.region.windows(source.scene.grid, side):
            found = targets.places(source.labels, window)
            found[~source.region.mask(window)] = NODATA
            counts = np.bincount(found.ravel(), minlength=256)[: len(pixels)]
            if counts.any():
                pixels += counts
                cores.append(Core(number=len(cores), source=number, window=window))
    return cores, pixels


def _contract(
    job: TrainJob, sources: Sequence[Source], index: CellIndex, start: Bundle | None
) -> InputContract:
    scene = sources[0].scene
    if start is not None:
        if len(start.contract.bands) != scene.count:
            raise UsageError(
                "the bundle to start from takes other bands",
                where=start.path,
                why=f"it takes {len(start.contract.bands)} ({', '.join(start.contract.band_names)}), "
                f"the scenes give {scene.count}",
                hint="choose them with bands",
            )
        _check_start(start, sources, index)
        if not job.sensors:
            return start.contract
        return _with_sensors(start.contract, job.sensors)
    if scene.count % job.augment.dates:
        raise UsageError(
            f"{scene.count} bands are not those of {job.augment.dates} dates",
            hint="as many bands of each date, or another dates in augment",
        )
    names = job.band_names or list(scene.band_names)
    if len(names) != scene.count:
        raise UsageError("band_names do not fit", why=f"{len(names)} names for {scene.count} bands")
    contract = contract_of(
        [source.scene for source in sources],
        band_statistics(training_windows(sources, index)),
        names,
        scale=job.augment.scale,
        ranged=bool(job.sensors),
    )
    return _with_sensors(contract, job.sensors) if job.sensors else contract


def _with_sensors(contract: InputContract, sensors: Mapping[str, Sequence[str]]) -> InputContract:
    """The contract with what a scene may lack; UsageError where the job names other bands."""
    groups = tuple(Sensor(name=name, bands=tuple(bands)) for name, bands in sensors.items())
    try:
        return replace(contract, sensors=groups)
    except InputError as error:
        raise UsageError(f"sensors: {error.what}", why=error.why) from None


def _check_start(start: Bundle, sources: Sequence[Source], index: CellIndex) -> None:
    """Refuse scenes that are something else than what the bundle was trained on."""
    for number in np.unique(index.source).tolist():
        scene = sources[number].scene
        row, col = index.home[int(np.flatnonzero(index.source == number)[0])].tolist()
        pixels, valid = scene.read(crop_window(row, col, index.crop, scene.grid.shape))
        profile = SceneProfile(
            count=scene.count,
            dtype=scene.dtype,
            band_names=scene.band_names,
            pixel_size_m=scene.grid.ground_size,
            value_sample=pixels[:, valid],
        )
        try:
            start.contract.check(profile, where=scene.name)
        except InputError as error:
            raise InputError(
                f"does not fit the bundle to start from: {error.what}",
                where=error.where,
                why=error.why,
                hint="other bands or values, as its card says, or a training without start",
            ) from None


def _architecture(job: TrainJob, start: Bundle | None) -> Architecture:
    if start is not None and job.model is None:
        return start.architecture
    name = job.model or _DEFAULT[0]
    encoder = job.encoder if start is None or job.encoder else start.architecture.encoder
    if encoder is None:
        encoder = "" if name == "linear" else _DEFAULT[1]
    resolve(name)  # an unknown name is said before any label is read
    return Architecture(name=name, encoder=encoder, arguments=MappingProxyType(dict(job.arguments or {})))


def _identity(
    job: TrainJob, opened: Sequence[tuple[Scene, Truth]], start: Bundle | None, fold: int | None
) -> str:
    content: dict[str, Any] = {
        # without defaults, so that a field added later does not make another training of an old job
        "job": job.model_dump(mode="json", exclude={*_WORDS, "encoder_weights"}, exclude_defaults=True),
        "scenes": [[scene.fingerprint(), labels.fingerprint()] for scene, labels in opened],
        "fold": fold,
        "start": None if start is None else start.digest,
        "geoseg": __version__,
    }
    if job.encoder_weights is not None:
        content["encoder_weights"] = digest_of(job.encoder_weights)
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
