"""Clouds, mapped first by a model of their own, so that they hide what lies under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from geoseg.errors import InputError, UsageError
from geoseg.models.bundle import Bundle, list_bundles, load_bundle
from geoseg.models.contract import Level
from geoseg.prediction.folder import Prediction
from geoseg.prediction.job import PredictJob
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import Reading, ReadingOptions
from geoseg.raster.scene import Scene

AUTO = "auto"
FOLDER = "clouds"
"""Name of the folder of the map of clouds, in that of the prediction."""

_CLEAR = "clear"
_BY_LEVEL: Mapping[Level, str] = MappingProxyType(
    {"top of atmosphere": "clouds-s2-l1c", "surface": "clouds-s2-l2a"}
)
_FEWER_BANDS = "-4b"
_SAME = {"scene", "aoi", "chunk", "batch", "engine", "device", "precision", "force"} | (
    Reading.model_fields.keys() - {"mask", "mask_values"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clouds:
    """A map of clouds over a scene.

    Attributes
    ----------
    mask
        The map.
    values
        Those that hide.
    remark
        What hides how much, in words.
    """

    mask: Path
    values: tuple[int, ...]
    remark: str

    @property
    def reading(self) -> ReadingOptions:
        """Options with which a scene is opened under it."""
        return {"mask": str(self.mask), "mask_values": self.values}


def cloud_job(job: PredictJob, level: Level) -> PredictJob:
    """Prediction of the clouds over a job's scene, which the job asks for, into a folder below the job's.

    Parameters
    ----------
    job
        With `clouds`.
    level
        Of the pixels, as the scene or else the job's model says it.

    Raises
    ------
    UsageError
        No such model among the user's own, one without a class called clear, or bands that it cannot find.
    """
    reading: ReadingOptions = {**job.reading, "mask": None, "mask_values": None}
    whole = open_scene(job.scene, **reading)
    bundle = _chosen(whole, level) if job.clouds == AUTO else load_bundle(str(job.clouds))
    if _CLEAR not in bundle.legend.names:
        raise UsageError(
            f"{bundle.name} is not a model of clouds",
            why=f"no class of it is called {_CLEAR}; it has {', '.join(bundle.legend.names)}",
            hint="another bundle in `clouds`, or its map and `mask_values` with those that hide in `mask`",
        )
    given = {name: getattr(job, name) for name in _SAME}
    return PredictJob.parse(
        {**given, "model": str(bundle.path), "bands": _bands(bundle, whole), "out": job.out / FOLDER}
    )


def clouds_of(made: Prediction, model: str) -> Clouds:
    """Clouds of the prediction that maps them with that bundle: every class but clear hides."""
    bundle = load_bundle(model, verify=False)
    hiding = {c.name: c.id for c in bundle.legend.classes if c.name != _CLEAR}
    total = sum(n for name, n in made.pixels.items() if name != "nodata")
    shares = [f"{name} {made.pixels[name] / max(total, 1):.1%}" for name in hiding]
    return Clouds(
        mask=made.classes,
        values=tuple(hiding.values()),
        remark=f"hidden by {bundle.name} {bundle.version}: {', '.join(shares)}",
    )


def _chosen(scene: Scene, level: Level) -> Bundle:
    """The user's own bundle for a level, with short-wave infrared where the scene has it."""
    if not level:
        raise UsageError(
            "the scene does not say its level",
            where=scene.name,
            why="top of atmosphere and surface have models of clouds of their own",
            hint=f"`clouds={_BY_LEVEL['top of atmosphere']}` or `clouds={_BY_LEVEL['surface']}`",
        )
    name = _BY_LEVEL[level]
    names = [n for n in (name, name + _FEWER_BANDS) if n in list_bundles()]
    if not names:
        raise UsageError(
            f"no model of clouds for reflectance of the {level}",
            why=f"{name} is not among your models",
            hint=f"geoseg model get {name}, or a raster that hides clouds in `mask`",
        )
    bundles = [load_bundle(n) for n in names]
    fitting = [b for b in bundles if b.contract.order_among(scene.band_names) is not None]
    return (fitting or bundles)[0]


def _bands(bundle: Bundle, scene: Scene) -> list[int] | None:
    """Bands of a whole scene for the model of clouds; None for all, and for a product's, which have names."""
    wanted = bundle.contract.band_names
    order = bundle.contract.order_among(scene.band_names)
    if order is not None:
        return None if scene.product else list(order)
    if scene.count == len(wanted):
        return None
    raise InputError(
        "the bands for the model of clouds are not known",
        where=scene.name,
        why=f"{bundle.name} takes {', '.join(wanted)}; the scene has {', '.join(scene.band_names)}",
        hint="names of the bands in the file, or a raster that hides clouds in `mask`",
    )
