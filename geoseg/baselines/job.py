"""What a fit is asked to find."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from geoseg.baselines.indices import INDICES, ROLES, IndexName
from geoseg.job import Place, split_bands
from geoseg.raster.reading import Reading
from geoseg.truth.layer import Overlap

Method = Literal[IndexName, "kmeans", "forest", "model"]

_ONLY: dict[str, tuple[str, ...]] = {
    "threshold": tuple(INDICES),
    "labels": ("forest",),
    "field": ("forest",),
    "layer": ("forest",),
    "crosswalk": ("forest",),
    "model": ("model",),
}


class FitJob(Reading):
    """A rule for one scene, saved as a bundle.

    Attributes
    ----------
    method
        A spectral index of `INDICES`, like ``ndvi``, or ``kmeans``, ``forest``, or ``model``: a bundle that
        exists, to put regions over.
    scene
        Path, list of paths, folder or pattern, as `predict` takes them.
    out
        Folder of the bundle.
    bands
        Bands that the model takes, by number or name, with roles where the file has none, like red=3,nir=4.
        All by default.
    scale
        From raw values to reflectance, for an index: what they are multiplied with. By default what the tags
        of the file say, as for the offset.
    offset
        What is added after the scale.
    threshold
        Threshold of an index, ascending where several are given, by default Otsu's. That is of 1979, for as
        many classes as `classes` says.
    classes
        Number of classes of an index or of k-means, or names: 4, or water,land, or 3=water,7=land. In Python
        and YAML a list gets the ids 1, 2, ..., or ``{id: name}``. For a forest: names of the classes.
    labels
        Layer of polygons or points, for a forest.
    field
        Field of the labels that holds the class.
    layer
        Layer of the labels' file, where it has several.
    crosswalk
        YAML of field value to class name or number, or "ignore", as in `evaluate`. Or a mapping.
    overlap
        Where polygons of different classes overlap, the class first or last in the crosswalk wins, or the
        later in the file.
    repair
        Repair invalid polygons instead of refusing them.
    encoding
        Encoding of the text in a Shapefile or CSV that does not say it, like cp1252.
    all_touched
        Pixels that a polygon touches are its own, not only those whose centre it covers.
    trees
        Trees of a forest.
    depth
        Greatest depth of a tree.
    leaf
        Fewest pixels in a leaf.
    folds
        Parts into which the polygons are dealt out for the score.
    model
        Model to put regions over, for method ``model``.
    regions
        Give every region of this method one class.
    region_parameters
        A parameter of the regions, like spacing=16. See `geoseg.models.region_rule.REGION_METHODS`.
    margin
        Pixels of context around a tile, by default 64 with regions, else 0.
    seed
        Same seed, same job, same scene: same bundle.
    name
        Name of the model, by default the folder's.
    licence
        Licence of the bundle.
    """

    method: Method
    scene: Place | list[Place]
    out: Path
    bands: list[int | str] | None = None
    scale: float = 1.0
    offset: float = 0.0
    threshold: list[float] | None = None
    classes: int | dict[Annotated[int, Field(ge=0, le=254)], str] | None = None
    labels: Path | None = None
    field: str | None = None
    layer: str | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    overlap: Overlap = "file"
    repair: bool = False
    encoding: str | None = None
    all_touched: bool = False
    trees: Annotated[int, Field(ge=1, le=1000)] = 100
    depth: Annotated[int, Field(ge=1, le=64)] = 16
    leaf: Annotated[int, Field(ge=1)] = 5
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    model: Place | None = None
    regions: Literal["watershed", "canny", "slic", "felzenszwalb"] | None = None
    region_parameters: dict[str, float] = Field(default_factory=dict)
    margin: Annotated[int, Field(ge=0, le=1024, multiple_of=32)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    name: str | None = None
    licence: str = "not stated"

    _split_bands = field_validator("bands", mode="before")(split_bands)

    @field_validator("classes", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return dict(enumerate(value, start=1)) if isinstance(value, (list, tuple)) else value

    @model_validator(mode="after")
    def _check_parts(self) -> FitJob:
        for key, methods in _ONLY.items():
            if getattr(self, key) is not None and self.method not in methods:
                raise ValueError(f"{key} belongs to {', '.join(methods)}, not to {self.method}")
        if (self.scale, self.offset) != (1.0, 0.0) and self.method not in INDICES:
            raise ValueError(f"scale and offset belong to an index, not to {self.method}")
        if self.scale == 0:
            raise ValueError("scale must not be zero")
        if self.method == "forest" and (self.labels is None or self.field is None):
            raise ValueError("a forest needs labels, and the field that holds their class")
        if self.method == "model" and (self.model is None or self.regions is None):
            raise ValueError("method model needs a model, and regions to put over it")
        if self.region_parameters and self.regions is None:
            raise ValueError("region_parameters need regions")
        steps = self.threshold
        if steps is not None and (not steps or sorted(set(steps)) != steps):
            raise ValueError("thresholds have to ascend")
        if isinstance(self.classes, int) and self.method in ("forest", "model"):
            raise ValueError(f"for {self.method}, classes are names")
        if self.classes is not None and not isinstance(self.classes, int) and len(self.classes) < 2:
            raise ValueError("at least two classes")
        if isinstance(self.classes, int) and not 2 <= self.classes <= 50:
            raise ValueError("2 to 50 classes")
        if steps is not None and self.classes is not None and self.number != len(steps) + 1:
            raise ValueError(f"{len(steps)} thresholds make {len(steps) + 1} classes, not {self.number}")
        if self.method in INDICES and steps is None and self.number > 5:
            raise ValueError("Otsu's thresholds are searched for at most 5 classes")
        return self

    @property
    def number(self) -> int:
        """Number of classes: as given, else one more than thresholds; 2 for an index and 5 for k-means."""
        if isinstance(self.classes, int):
            return self.classes
        if self.classes is not None:
            return len(self.classes)
        if self.threshold is not None:
            return len(self.threshold) + 1
        return 5 if self.method == "kmeans" else 2

    @property
    def band_choice(self) -> list[int | str] | None:
        """Bands without their roles, as a scene is opened with them."""
        return None if self.bands is None else [_band_and_role(b)[0] for b in self.bands]

    @property
    def roles(self) -> list[str | None] | None:
        """Role that each of the bands was given; None where it was not."""
        return None if self.bands is None else [_band_and_role(b)[1] for b in self.bands]


def _band_and_role(text: int | str) -> tuple[int | str, str | None]:
    role, equals, band = str(text).partition("=")
    if not equals or role.strip().casefold() not in ROLES:
        return text, None
    return int(band) if band.strip().isdigit() else band.strip(), role.strip().casefold()
