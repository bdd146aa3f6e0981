"""Architectures by name: a dictionary line `name -> "module:function"`, resolved on use.

Every factory is called as ``factory(encoder=..., bands=..., classes=..., **arguments)`` and returns a module
that maps (N, bands, H, W) float to logits (N, classes, H, W).

Modules of `OBJECTS` map it to what each tile holds, a list of N dictionaries of tensors: ``scores`` (k,),
``classes`` (k,) as positions in the legend, ``boxes`` (k, 4) as whole numbers row, col, row_end, col_end, and
``masks``, k of them as large as their boxes. Panoptic ones are built with ``things``, the positions of the
classes of things, and give ``stuff`` (H, W) too, positions of the others. Told the tiles' `ObjectLabels`,
they answer with losses by name.

Modules of `SEVERAL` answer as their attribute ``task`` says: with logits, with what tiles hold, or through
``embed`` and ``answer`` as those of `PROMPTED` do.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from geoseg.errors import InputError, UsageError
from geoseg.models.object_rule import Task

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES: dict[str, str] = {
    "unet": "geoseg.models.smp:unet",
    "unetplusplus": "geoseg.models.smp:unetplusplus",
    "manet": "geoseg.models.smp:manet",
    "linknet": "geoseg.models.smp:linknet",
    "fpn": "geoseg.models.smp:fpn",
    "pspnet": "geoseg.models.smp:pspnet",
    "pan": "geoseg.models.smp:pan",
    "deeplabv3": "geoseg.models.smp:deeplabv3",
    "deeplabv3plus": "geoseg.models.smp:deeplabv3plus",
    "upernet": "geoseg.models.smp:upernet",
    "segformer": "geoseg.models.smp:segformer",
    "dpt": "geoseg.models.smp:dpt",
    "hrnetv2": "geoseg.models.hrnet:hrnetv2",
    "hrnetv2_ocr": "geoseg.models.hrnet:hrnetv2_ocr",
    "fcn32s": "geoseg.models.fcn:fcn32s",
    "fcn16s": "geoseg.models.fcn:fcn16s",
    "fcn8s": "geoseg.models.fcn:fcn8s",
    "siamese_diff": "geoseg.models.siamese:siamese_diff",
    "siamese_conc": "geoseg.models.siamese:siamese_conc",
    "deeplabv3_torchvision": "geoseg.models.torchvision_deeplab:deeplabv3_torchvision",
    "dynamic_world": "geoseg.models.dynamic_world:dynamic_world",
    "linear": "geoseg.models.linear:linear",
    "spectral_index": "geoseg.models.spectral_index:spectral_index",
    "nearest_centre": "geoseg.models.nearest_centre:nearest_centre",
    "clicks": "geoseg.models.clicks:clicks",
    "sam": "geoseg.models.segment_anything:sam",
    "sam2": "geoseg.models.segment_anything:sam2",
    "random_forest": "geoseg.models.random_forest:random_forest",
    "interior_rim": "geoseg.models.interior_rim:interior_rim",
    "mask_rcnn": "geoseg.models.mask_rcnn:mask_rcnn",
    "panoptic_fpn": "geoseg.models.panoptic_fpn:panoptic_fpn",
    "mask2former": "geoseg.models.mask2former:mask2former",
    "one_decoder": "geoseg.models.one_decoder:one_decoder",
}
"""Known architectures; add a line, or name ``package.module:function`` (see `resolve`)."""

PROMPTED: dict[str, int] = {"clicks": 512, "sam": 1024, "sam2": 1024}
"""Side of the tiles for all objects, by those that answer prompts, `PromptNetwork`s of `geoseg.engines`."""

OBJECTS: dict[str, tuple[Task, ...]] = {
    "interior_rim": ("instance",),
    "mask_rcnn": ("instance",),
    "panoptic_fpn": ("panoptic",),
    "mask2former": ("instance", "panoptic"),
}
"""What those can answer that know objects; all others have a class for every pixel."""

SEVERAL: dict[str, tuple[Task, ...]] = {
    "one_decoder": ("panoptic", "semantic", "instance", "promptable"),
}
"""What those answer that answer several tasks with the same weights, by default the first."""

TRUSTED = "GEOSEG_ARCHITECTURES"
"""Environment variable: packages, separated by commas, whose functions a bundle may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network without its weights.

    Attributes
    ----------
    name
        A key of `ARCHITECTURES`, or ``package.module:function``.
    encoder
        Name of the encoder in timm or segmentation-models-pytorch; empty where there is none.
    arguments
        Further keyword arguments of the factory, plain JSON values.
    """

    name: str
    encoder: str = ""
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, Any]:
        """Form in ``bundle.json``."""
        return {"name": self.name, "encoder": self.encoder, "arguments": dict(self.arguments)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Architecture:
        """Architecture from its form in ``bundle.json``."""
        return cls(
            name=str(raw["name"]),
            encoder=str(raw.get("encoder", "")),
            arguments=MappingProxyType(dict(raw.get("arguments", {}))),
        )


def build(architecture: Architecture, *, bands: int, classes: int) -> nn.Module:
    """Network with random weights; what it maps to what, see above.

    Raises
    ------
    UsageError
        Unknown architecture or encoder, or arguments that the factory does not take.
    """
    factory = resolve(architecture.name)
    try:
        return factory(encoder=architecture.encoder, bands=bands, classes=classes, **architecture.arguments)
    except (TypeError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        raise UsageError(
            f"architecture {architecture.name!r} cannot be built",
            why=f"encoder {architecture.encoder!r}, arguments {dict(architecture.arguments)}: {error}",
        ) from error


def resolve(name: str) -> Callable[..., nn.Module]:
    """Factory of that name.

    A bundle is data and may come from anywhere, so a name that is a dotted path is followed only into
    packages that the user trusts by name in the environment variable ``GEOSEG_ARCHITECTURES``.

    Raises
    ------
    UsageError
        Unknown name (with the nearest one), or a path into a package that is not trusted.
    """
    target = ARCHITECTURES.get(name)
    if target is None:
        if ":" not in name:
            near = difflib.get_close_matches(name, ARCHITECTURES, n=1)
            raise UsageError(
                f"unknown architecture {name!r}",
                why=f"known are {', '.join(ARCHITECTURES)}",
                hint=f"{near[0]!r}" if near else None,
            )
        target = _trusted(name)
    module, _, function = target.partition(":")
    try:
        factory: Callable[..., nn.Module] = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"architecture {name!r} cannot be imported", why=str(error)) from error
    return factory


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an architecture is, in words.

    Attributes
    ----------
    name
        Key of `ARCHITECTURES`.
    what
        Its name in the literature.
    paper
        Authors, year and arXiv number; empty where there is none.
    """

    name: str
    what: str
    paper: str


def describe() -> tuple[Description, ...]:
    """Description of every known architecture, from the first line of its factory's docstring.

    The sources are read, not imported, so that a list takes no deep-learning library.
    """
    return tuple(_describe(name, target) for name, target in ARCHITECTURES.items())


def _describe(name: str, target: str) -> Description:
    module, _, function = target.partition(":")
    spec = find_spec(module)
    source = Path(spec.origin).read_text(encoding="utf-8") if spec is not None and spec.origin else ""
    lines = (
        ast.get_docstring(node) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == function
    )
    line = next(lines, "").partition("\n")[0]
    what, paper = re.fullmatch(r"(.*?)\.?(?: \(([^()]*\d{4}[^()]*)\)\.?)?", line).groups()  # type: ignore[union-attr]
    return Description(name=name, what=what, paper=paper or "")


def _trusted(path: str) -> str:
    package = path.partition(":")[0].partition(".")[0]
    trusted = {p.strip() for p in os.environ.get(TRUSTED, "").split(",")}
    if package not in trusted:
        raise InputError(
            f"the model wants to run code from the package {package!r}",
            why=f"its architecture is {path!r}, and that package is not trusted",
            hint=f"{TRUSTED}={package} if you know and trust it",
        )
    return path
