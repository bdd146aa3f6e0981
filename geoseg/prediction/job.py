"""What a prediction is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from geoseg.engines.choice import Precision, Tta
from geoseg.geometry.tiling import DEFAULT_CHUNK, Stitch
from geoseg.job import Place, split_bands
from geoseg.raster.reading import Reading


class PredictJob(Reading):
    """Class map and confidence of one scene, or its objects, as the model's task is.

    Attributes
    ----------
    scene
        Path, list of paths (one file per band, or stacked), folder, or glob pattern.
    model
        Name of a shipped model, or the folder of a bundle; of several, the probabilities are averaged.
    task
        What a model of several tasks answers: ``semantic``, ``instance`` or ``panoptic``; without it, the
        first of them.
    tta
        Average each tile's views: ``flips`` (four), or ``d4`` (all eight symmetries), for as many passes.
    out
        Output folder. It gets classes.tif and confidence.tif; of a model of objects objects.gpkg and
        panoptic.tif; and manifest.json, run.yaml and log.jsonl.
    bands
        Scene bands to feed, in the model's order: numbers from 1, or names, like 3,2,1. All by default.
    without
        Sensors of the model that the scene lacks, by name, like radar: those that it learnt to do without.
    tile
        Side of the window that the model sees, by default chosen by the scene's size. See
        `geoseg.geometry.plan_tiles` for this and the next three.
    margin
        Pixels discarded (crop) or shared (blend) at a tile's edge, by default as the model says.
    chunk
        Side of one task's block.
    stitch
        Whether one tile decides a pixel, or several are blended.
    batch
        Tiles per forward pass; it never changes a label.
    engine
        What runs the network: ``torch``, ``onnx``, ``openvino``, or the fastest on this scene (``auto``). It
        is timed on the scene's own tiles where the scene is large enough, among those with fp32's labels.
    device
        Where the network runs: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    precision
        Number format of the network: fp32, bf16 or fp16; ``auto`` is decided together with the engine. int8,
        never taken by itself, is calibrated on the scene's own tiles and changes some labels: a line says
        how many.
    novelty
        Also write novelty.tif: how unlike the model's training each square of the scene looks, or how much
        less sure the model is of it than where it was scored, whichever is more, in percent.
    clouds
        Bundle that maps clouds first and hides what they cover: ``auto`` takes ``clouds-s2-l1c`` or
        ``clouds-s2-l2a`` by the scene's level. Its map is in the folder clouds of `out`.
    objects_format
        Format of the polygons that a model of objects makes: gpkg, shp, fgb, parquet, geojson or pmtiles.
    square
        Give outlines of objects right angles where they stand alone, as buildings have them: walls shorter
        than this many metres go, and an outline moves by no more than that or two pixels. The rasters stay.
    everything
        Find all objects by a model that answers prompts, asked at points that many pixels from each other.
    aoi
        Polygon layer; pixels whose centre is outside become nodata.
    force
        Use the model although its input contract refuses; every refusal becomes a note.
    allow_missing
        Publish although chunks failed; they become nodata. Every output says so.
    """

    scene: Place | list[Place]
    model: Place | list[Place]
    out: Path
    task: Literal["semantic", "instance", "panoptic"] | None = None
    tta: Tta = "none"
    bands: list[int | str] | None = None
    without: list[str] | None = None
    tile: Annotated[int, Field(ge=32, le=16384)] | None = None
    margin: Annotated[int, Field(ge=0, le=4096)] | None = None
    chunk: Annotated[int, Field(ge=1, le=65536)] = DEFAULT_CHUNK
    stitch: Stitch = "crop"
    batch: Annotated[int, Field(ge=1, le=4096)] | None = None
    engine: str = "auto"
    device: str = "auto"
    precision: Precision = "auto"
    novelty: bool = False
    clouds: Place | None = None
    objects_format: str = "gpkg"
    square: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    everything: Annotated[int, Field(ge=4, le=1024)] | None = None
    aoi: Path | None = None
    force: bool = False
    allow_missing: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all bundles, one or several."""
        return (self.model,) if isinstance(self.model, str) else tuple(self.model)

    @model_validator(mode="after")
    def _hidden_once(self) -> PredictJob:
        if self.clouds is not None and self.mask is not None:
            raise ValueError("clouds makes a mask, and another is given; leave out one of them")
        if self.without and self.novelty:
            raise ValueError("novelty compares all bands of the model; leave it out, or without")
        return self

    @field_validator("model", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if isinstance(value, list | tuple) and not value:
            raise ValueError("no model is named")
        return value

    _split_bands = field_validator("bands", mode="before")(split_bands)

    @field_validator("without", mode="before")
    @classmethod
    def _split_sensors(cls, value: object) -> object:
        """Sensors given as texts, each of one or several, ``radar,elevation``; none is None."""
        if not isinstance(value, str | list | tuple):
            return value
        texts = [value] if isinstance(value, str) else value
        return [s.strip() for text in texts for s in str(text).split(",") if s.strip()] or None


def objects_name(suffix: str) -> str:
    """Name of the file of objects in a format, named by its suffix with or without the dot."""
    return f"objects.{suffix.removeprefix('.').lower()}"
