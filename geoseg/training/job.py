"""What a training is asked to make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from geoseg.job import Job, Place, split_bands
from geoseg.raster.reading import Reading
from geoseg.training.course import Course, Schedule
from geoseg.truth.layer import Overlap

if TYPE_CHECKING:
    from geoseg.legend import Legend

LossName = Literal["cross_entropy", "dice", "jaccard", "focal", "tversky", "lovasz"]
Span = tuple[int | str, int | str]
LABEL_NAMES: Mapping[str, str] = MappingProxyType({"band": "labels_band"})
"""What the options of a raster are called where it holds labels."""
_Share = Annotated[float, Field(ge=0, le=1)]
_Weight = Annotated[float, Field(gt=0)]


def _default_loss() -> dict[LossName, float]:
    return {"cross_entropy": 1.0, "dice": 1.0}


class Labelled(Reading):
    """Labels of a scene; `assume_crs` and `allow_vrt` serve both.

    Attributes
    ----------
    labels
        Raster of class numbers or of colours, on the scene's grid or another, or polygons or points. A raster
        without georeference lies on the image pixel by pixel. Models of objects learn from polygons, one for
        each object; where there is none, there is no object. Panoptic ones find the ground between them in
        the same layer.
    field
        Field of the polygons or points that holds the class; may be left out where only one can.
    layer
        Layer of the vector file, where it has several.
    labels_band
        Band of a label raster with several, by number from 1 or by name.
    single_class
        The class of all features of a vector file without a class field.
    background
        Class of pixels outside all polygons; without it they are not learnt from.
    overlap, repair, encoding
        As in `evaluate`; where polygons of different classes overlap, the later feature in the file wins.
    all_touched
        Pixels that a polygon touches are its own, not only those whose centre it covers.
    """

    labels: Path
    field: str | None = None
    layer: str | None = None
    labels_band: int | str | None = None
    single_class: str | int | None = None
    background: str | int | None = None
    overlap: Overlap = "file"
    repair: bool = False
    encoding: str | None = None
    all_touched: bool = False


class LabelledScene(Labelled):
    """One scene and its labels, or many with names alike.

    Attributes
    ----------
    image
        Path, list of paths, folder or pattern, as `predict` takes them. A name in braces stands for the part
        in which many scenes differ: ``images/{id}.tif`` with labels ``masks/{id}.png``.
    use
        For a split by file: what this scene is for. With folds ``training`` alone: it teaches every time and
        is never scored, as suits labels that are coarse or another model's answers.
    group
        For folds of files: scenes with the same name here, those of one place say, are in one fold.
    """

    image: Place | list[Place]
    use: Literal["training", "validation"] | None = None
    group: str | None = None


class Split(Job):
    """Which pixels are for validation; no training crop comes nearer to them than `margin`.

    Attributes
    ----------
    by
        ``block``: squares drawn at random. ``region``: given rows, columns or polygons. ``file``: whole
        scenes, by their `use`. ``feature``: polygons or points of the labels drawn at random, of each class
        so many; training sees their ground, but not their labels.
    folds
        Cross-validation: blocks or files are dealt into so many parts, and as many models are trained, each
        scored on the part that it has not seen. The bundle then learns from everything.
    share, block
        For blocks: share of the labelled squares, and their side in pixels. The share holds for features too.
    rows, columns, polygons
        For regions: first and end (excluded) in pixels or as ``"50%"``; or a polygon layer.
    margin
        Pixels between a training crop and the nearest validation pixel.
    """

    by: Literal["block", "region", "file", "feature"] = "block"
    folds: Annotated[int, Field(ge=2, le=50)] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    block: Annotated[int, Field(ge=32)] = 512
    rows: Span | None = None
    columns: Span | None = None
    polygons: Path | None = None
    margin: Annotated[int, Field(ge=0, le=4096)] = 0

    @field_validator("rows", "columns")
    @classmethod
    def _check_span(cls, value: Span | None) -> Span | None:
        for end in value or ():
            if isinstance(end, str) and not re.fullmatch(r"\s*\d+(\.\d+)?\s*%\s*", end):
                raise ValueError("write pixels as a number, or a share as '50%'")
        return value

    @model_validator(mode="after")
    def _check_region(self) -> Split:
        given = [k for k in ("rows", "columns", "polygons") if getattr(self, k) is not None]
        if self.by == "region" and not given:
            raise ValueError("a split by region needs rows, columns or polygons")
        if self.by == "region" and self.polygons is not None and len(given) > 1:
            raise ValueError("polygons stand alone")
        if self.by != "region" and given:
            raise ValueError(f"{', '.join(given)} belong to a split by region, found by: {self.by}")
        if self.by in ("region", "feature") and self.folds is not None:
            raise ValueError(f"folds are made of blocks or files, not of {self.by}s")
        if self.by == "feature" and self.margin:
            raise ValueError("a split by feature keeps no margin: training sees the ground around them")
        return self


class Augmentation(Job):
    """Random changes of a training crop; every strength 0 is none.

    Attributes
    ----------
    flips
        The eight flips and right-angle turns, all equally likely.
    scale
        Factor of ground size, drawn between 1/(1+scale) and 1+scale.
    contrast, gamma
        Around the scene's own level, drawn for all bands and a little per band: the logarithm of the factor
        by which differences from the level grow, and of the exponent.
    gain, offset
        Drawn for all bands and again per band: the logarithm of a factor around raw zero; in standard
        deviations.
    tint
        The logarithm of a factor around raw zero, drawn for each band on its own: another balance of colours.
    haze
        Largest share of a smooth bright veil.
    clear
        Largest share of the scene's own darkest values that is taken from a band, in half of the crops, with
        all bands brightened by as much at most: surface reflectance of what was seen through air.
    drop_band
        Probability that a band (never all) is replaced by its mean.
    drop_sensor
        Probability that a sensor is taken away whole, each on its own, never all bands; 0.2 where sensors are
        named and it is not.
    noise
        Standard deviation of white noise, in those of the bands.
    paste
        Of a model of objects: probability that an object is there once more, in each of three turns of the
        crop (Ghiasi et al. 2021, arXiv 2012.07177), so that objects touch and hide each other.
    dates
        Dates that the bands are of, equally many each; everything but flips and scale is drawn for each
        date on its own.
    """

    flips: bool = True
    scale: Annotated[float, Field(ge=0, le=3)] = 0.25
    contrast: Annotated[float, Field(ge=0, le=2)] = 0.0
    gamma: _Share = 0.0
    gain: _Share = 0.1
    offset: _Share = 0.05
    tint: _Share = 0.0
    haze: _Share = 0.0
    clear: _Share = 0.0
    drop_band: _Share = 0.0
    drop_sensor: Annotated[float, Field(gt=0, lt=1)] | None = None
    noise: _Share = 0.0
    paste: _Share = 0.0
    dates: Annotated[int, Field(ge=1)] = 1

    @property
    def changes_light(self) -> bool:
        """Whether values are changed, and not only their places."""
        return any(
            (self.contrast, self.gamma, self.gain, self.offset, self.tint, self.haze, self.clear, self.noise)
        )

    @property
    def sensor_odds(self) -> float:
        """Probability that a sensor is taken away."""
        return 0.2 if self.drop_sensor is None else self.drop_sensor


class TrainJob(Job):
    """One training, from labelled scenes to a bundle.

    Attributes
    ----------
    scenes
        What to learn from and what to validate on.
    out
        Folder of the bundle. The work (checkpoint, log, pictures) goes to ``<out>.training`` beside it.
    classes, colors
        Class number to name, and to ``#RRGGBB``; of a model of objects alone those of the objects.
    things
        Classes of objects, by name or number, of a panoptic model, in which all others are what lies between.
    crosswalk
        YAML file or mapping of label value to class (name or number) or ``ignore``, as in `evaluate`; without
        it, labels hold class names or numbers.
    bands
        Bands of the images, by number or name; all by default.
    band_names
        Their names in the bundle; taken from the images by default.
    sensors
        Name to bands, by their names, that a scene may lack later: training takes them away at random
        (`augment`), and every score is told with each of them missing. Other bands are always needed.
    model, encoder, arguments
        Architecture by name; see ``docs/models.md``.
    start
        Bundle (name or folder) to start from; its normalisation is kept, and its architecture unless `model`
        names another, which takes the weights that have its names and shapes.
    start_share
        Weights of `start` in those of the model, 0 to 1: between both lie models that often hold where either
        fails (Wortsman et al. 2022, arXiv 2109.01903).
    encoder_weights
        Pretrained weights of the encoder: a file (see ``docs/models.md``), or ``hub`` for those that its
        library publishes, which takes a network connection once.
    steps
        Optimiser steps.
    batch
        Crops per step, over all processes.
    crop
        Side of a crop, a multiple of 32.
    sampling
        ``natural``: classes as often as they are; ``balanced``: all equally often; ``rare``: the rarer, the
        more often.
    loss
        Sum of losses by weight; models of objects have their own.
    class_weights
        ``balanced``, or weights by class name, in cross-entropy and focal loss.
    focal_gamma, tversky_alpha, tversky_beta
        Focus of the focal loss; weights of false positives and false negatives of the Tversky loss.
    optimiser
        AdamW: `learning_rate`, `weight_decay`; `clip` is the largest norm of a step's gradient.
    schedule, warmup
        Course of the learning rate, and the share of steps in which it rises.
    average
        Decay of the running average of the weights that is validated and kept; 0 for none.
    precision
        ``bf16``: mixed precision; ``auto`` takes it on a GPU that computes in it.
    validate_every, validation_windows
        Steps between validations, and most windows in each; the last one looks at everything.
    light_windows
        Most windows that the finished model is judged on in sixteen other lights.
    patience
        Validations without a better score after which training ends; None for never.
    keep
        Which weights become the model: of the ``best`` validation, or the ``last``. With folds always the
        last: scores then flatter in nothing.
    tta
        Also score test-time augmentation (flips, all eight symmetries), at twelve times the forward passes.
    seed
        Same seed, same job, same machine: same weights.
    name, version, description, data, credit, licence, limits, command
        For the card and the bundle; none of them changes the training.
    """

    scenes: Annotated[list[LabelledScene], Field(min_length=1)]
    out: Path
    classes: dict[Annotated[int, Field(ge=0, le=254)], str]
    colors: dict[int, str] | None = None
    things: list[str | int] | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    bands: list[int | str] | None = None
    band_names: list[str] | None = None
    sensors: dict[str, Annotated[list[str], Field(min_length=1)]] | None = None
    split: Split = Field(default_factory=Split)
    model: str | None = None
    encoder: str | None = None
    arguments: dict[str, Any] | None = None
    start: Place | None = None
    start_share: _Share = 0.0
    encoder_weights: Literal["hub"] | Path | None = None
    steps: Annotated[int, Field(ge=1)] = 1000
    batch: Annotated[int, Field(ge=1, le=4096)] = 8
    crop: Annotated[int, Field(ge=32, le=4096, multiple_of=32)] = 256
    sampling: Literal["natural", "balanced", "rare"] = "balanced"
    augment: Augmentation = Field(default_factory=Augmentation)
    loss: dict[LossName, _Weight] = Field(default_factory=_default_loss, min_length=1)
    class_weights: Literal["balanced"] | dict[str, _Weight] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    tversky_alpha: _Share = 0.3
    tversky_beta: _Share = 0.7
    learning_rate: _Weight = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: _Weight = 1.0
    schedule: Schedule = "one_cycle"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    average: Annotated[float, Field(ge=0, lt=1)] = 0.99
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    validate_every: Annotated[int, Field(ge=1)] = 100
    validation_windows: Annotated[int, Field(ge=1)] = 64
    light_windows: Annotated[int, Field(ge=1)] = 24
    patience: Annotated[int, Field(ge=1)] | None = None
    keep: Literal["best", "last"] = "best"
    tta: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    name: str | None = None
    version: str = "1.0"
    description: str = ""
    data: str = ""
    credit: str = ""
    licence: str = "not stated"
    limits: list[str] = Field(default_factory=list)
    command: str = "geoseg train train.yaml"

    _split_bands = field_validator("bands", mode="before")(split_bands)

    @model_validator(mode="after")
    def _check_parts(self) -> TrainJob:
        if self.start is not None and not self.model and (self.encoder or self.arguments):
            raise ValueError(
                "start brings its architecture; leave out encoder and arguments, or name the model"
            )
        if self.start_share and (self.start is None or self.model):
            raise ValueError(
                "start_share: weights lie between two of one architecture, so give start, and no model"
            )
        if self.start is not None and self.encoder_weights is not None:
            raise ValueError("start brings its weights; leave out encoder_weights")
        if self.sensors is None and self.start is None and self.augment.drop_sensor is not None:
            raise ValueError("drop_sensor is for sensors, and none are named")
        uses = {s.use for s in self.scenes}
        if self.split.folds is not None:
            if "validation" in uses or None not in uses:
                raise ValueError("folds decide what is for validation; leave out use")
            if "training" in uses and self.split.by != "file":
                raise ValueError("use belongs to a split by file")
            if self.patience is not None:
                raise ValueError("with folds all models train equally long; leave out patience")
        elif self.split.by == "file" and not {"training", "validation"} <= uses:
            raise ValueError("a split by file needs scenes with use: training and use: validation")
        elif self.split.by == "file" and None in uses:
            raise ValueError("in a split by file, every scene needs its use")
        elif self.split.by != "file" and uses != {None}:
            raise ValueError("use belongs to a split by file")
        grouped = any(s.group is not None for s in self.scenes)
        if grouped and (self.split.by != "file" or self.split.folds is None):
            raise ValueError("group belongs to folds of files")
        return self

    @property
    def legend(self) -> Legend:
        """Classes in ascending order of number."""
        from geoseg.legend import Legend

        return Legend.of(self.classes, self.colors)

    @property
    def placeless(self) -> TrainJob:
        """The same job, without where its bundles lie: what a card and a bundle say of it."""
        start = None if self.start is None else Path(self.start).name
        return self.model_copy(update={"out": Path(self.out.name), "start": start})

    @property
    def keeps_last(self) -> bool:
        """Whether the last weights become the model, whatever validation says."""
        return self.keep == "last" or self.split.folds is not None

    def course(self, identity: str) -> Course:
        """How the weights are moved, by a training of that identity."""
        return Course(
            identity=identity,
            seed=self.seed,
            steps=self.steps,
            every=self.validate_every,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            clip=self.clip,
            schedule=self.schedule,
            warmup=self.warmup,
            average=self.average,
            patience=self.patience,
            keeps_last=self.keeps_last,
        )

    @property
    def work(self) -> Path:
        """Folder of the checkpoint, the log and the pictures while training."""
        return self.out.absolute().with_name(f"{self.out.absolute().name}.training")
