"""What a prediction is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from geoseg.engines.choice import Precision
from geoseg.engines.views import Tta
from geoseg.geometry import Stitch
from geoseg.geometry.tiling import DEFAULT_CHUNK
from geoseg.raster.reading import Reading


class PredictJob(Reading):
    """Class map and confidence of one scene.

    Attributes
    ----------
    scene
        Path, list of paths (one file per band, or stacked), folder, or glob pattern.
    model
        Name of a shipped bundle, or the folder of one; of a list, the probabilities are averaged.
    tta
        Views of every tile over which probabilities are averaged: ``none``; ``flips`` (four); ``d4`` (these
        and their quarter turns, eight).
    out
        Output folder: classes.tif, confidence.tif, manifest.json, run.yaml, log.jsonl.
    bands
        Scene bands to feed, in the model's order: numbers from 1, or names. All bands by default.
    tile, margin, chunk, stitch
        See `geoseg.geometry.plan_tiles`; tile is chosen by the scene's size, margin by the bundle.
    batch
        Tiles per forward pass; it never changes a label.
    engine
        What runs the network: ``torch``, ``onnx`` or ``openvino``; ``auto`` times them on the scene's own
        tiles where the scene is large enough, and takes the fastest whose labels are those of fp32.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    precision
        ``fp32``, ``bf16`` or ``fp16``; ``auto`` is decided together with the engine.
    novelty
        Also write novelty.tif: how unlike the model's training each square of the scene looks, in percent.
    aoi
        Polygon layer; pixels whose centre is outside become nodata.
    force
        Turn the refusals of the bundle's input contract into notes.
    allow_missing
        Publish although chunks failed; they become nodata, and every output says so.
    """

    scene: str | list[str]
    model: str | list[str]
    out: Path
    tta: Tta = "none"
    bands: list[int | str] | None = None
    tile: Annotated[int, Field(ge=32, le=16384)] | None = None
    margin: Annotated[int, Field(ge=0, le=4096)] | None = None
    chunk: Annotated[int, Field(ge=1, le=65536)] = DEFAULT_CHUNK
    stitch: Stitch = "crop"
    batch: Annotated[int, Field(ge=1, le=4096)] | None = None
    engine: str = "auto"
    device: str = "auto"
    precision: Precision = "auto"
    novelty: bool = False
    aoi: Path | None = None
    force: bool = False
    allow_missing: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all bundles, one or several."""
        return (self.model,) if isinstance(self.model, str) else tuple(self.model)

    @field_validator("model", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if isinstance(value, list | tuple) and not value:
            raise ValueError("no model is named")
        return value

    @field_validator("bands", mode="before")
    @classmethod
    def _split_bands(cls, value: object) -> object:
        """Bands given as one text, ``4,3,2``."""
        if isinstance(value, str):
            return [int(b) if b.strip().isdigit() else b.strip() for b in value.split(",") if b.strip()]
        return value
