"""What a pretraining is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from geoseg.job import Place, split_bands
from geoseg.raster.reading import Reading
from geoseg.training.course import Course
from geoseg.training.job import Augmentation


def _changes() -> Augmentation:
    return Augmentation(scale=0.5, contrast=0.3, gamma=0.2, gain=0.1, offset=0.1, noise=0.02)


class PretrainJob(Reading):
    """Weights for an encoder, learnt from scenes without labels.

    Attributes
    ----------
    scenes
        Scenes, each a path, list of paths, folder or pattern, as `predict` takes them. A name in braces
        stands for the part in which many differ: ``images/{id}.tif``.
    out
        File of the weights, ``.safetensors``; a card ``.json`` is written beside it, and the work
        (checkpoint, log) goes to a folder ``.training`` beside both.
    encoder
        Name of the encoder, as a training takes it.
    encoder_weights
        Pretrained weights to go on from: a file, or ``hub``, as a training takes them.
    bands
        Bands of the scenes, by number or name; all by default.
    steps
        Optimiser steps.
    batch
        Pairs of crops per step.
    crop
        Side of a crop, a multiple of 32; no scene may be smaller.
    augment
        By what the two crops of a place differ, besides where they lie.
    learning_rate
        Largest step of AdamW.
    precision
        ``bf16``: mixed precision; ``auto`` takes it on a GPU that computes in it.
    validate_every
        Steps between two looks at how well places are told apart, each with a checkpoint.
    seed
        Same seed, same job, same machine: same weights.
    """

    scenes: Annotated[list[Place | list[Place]], Field(min_length=1)]
    out: Path
    encoder: str = "mobilenet_v2"
    encoder_weights: Literal["hub"] | Path | None = None
    bands: list[int | str] | None = None
    steps: Annotated[int, Field(ge=1)] = 2000
    batch: Annotated[int, Field(ge=2, le=4096)] = 16
    crop: Annotated[int, Field(ge=32, le=4096, multiple_of=32)] = 128
    augment: Augmentation = Field(default_factory=_changes)
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    validate_every: Annotated[int, Field(ge=1)] = 100
    seed: Annotated[int, Field(ge=0)] = 0

    places: ClassVar[frozenset[str]] = frozenset({"scenes", "mask"})

    _split_bands = field_validator("bands", mode="before")(split_bands)

    @model_validator(mode="after")
    def _check_parts(self) -> PretrainJob:
        if self.out.suffix.lower() != ".safetensors":
            raise ValueError("out is a file of weights, which ends in .safetensors")
        if self.augment.paste or self.augment.drop_sensor is not None:
            raise ValueError("augment: paste and drop_sensor are for labelled scenes")
        return self

    def course(self, identity: str) -> Course:
        """How the weights are moved, by a pretraining of that identity."""
        return Course(
            identity=identity,
            seed=self.seed,
            steps=self.steps,
            every=self.validate_every,
            learning_rate=self.learning_rate,
            schedule="cosine",
        )

    @property
    def card(self) -> Path:
        """File of the card."""
        return self.out.with_suffix(".json")

    @property
    def work(self) -> Path:
        """Folder of the checkpoint and the log."""
        return self.out.absolute().with_suffix(".training")
