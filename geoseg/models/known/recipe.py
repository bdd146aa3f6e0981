"""What there is to know of a public model before its files are at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from geoseg.models.description import ModelDescription

Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """One file that a recipe needs.

    Attributes
    ----------
    name
        Its name in a folder or an archive.
    sha256
        Of its content; another is refused.
    url
        Where it is published; empty where it comes in a package.
    """

    name: str
    sha256: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A bundle that can be made of published files.

    Attributes
    ----------
    what
        One sentence.
    licence
        Of the weights, as SPDX names it.
    notice
        What the licence wants to be passed on.
    files
        What it is made of.
    package, package_version
        The Python package that carries the files; empty where none does.
    convert
        From the files' content by name to the description and the weights by the network's names.
    """

    name: str
    what: str
    licence: str
    notice: str
    files: tuple[KnownFile, ...]
    convert: Callable[[Mapping[str, bytes]], tuple[ModelDescription, Weights]]
    package: str = ""
    package_version: str = ""
