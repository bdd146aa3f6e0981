"""Many scenes in one line: a name in braces stands for the part in which their file names differ."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from geoseg.errors import InputError
from geoseg.raster.sources import natural_key
from geoseg.training.job import LabelledScene

_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")


def expand(scenes: Iterable[LabelledScene], root: Path | None = None) -> list[LabelledScene]:
    """One entry per scene, with paths below `root` where they are relative.

    ``images/{id}.tif`` with ``labels/{id}.png`` is a scene for every file in ``images``; the first path of
    the image says which there are, naturally sorted.

    Raises
    ------
    InputError
        No file fits, or a scene lacks another of its files.
    """
    return [_placed(scene, root) for entry in scenes for scene in _expand(entry, root)]


def _expand(entry: LabelledScene, root: Path | None) -> list[LabelledScene]:
    images = [entry.image] if isinstance(entry.image, str) else entry.image
    names = _PLACE.findall(images[0])
    later = {n for text in (*images[1:], str(entry.labels)) for n in _PLACE.findall(text)}
    if not names and not later:
        return [entry]
    if later - set(names):
        raise InputError(
            f"{{{sorted(later - set(names))[0]}}} does not stand in the first image",
            where=images[0],
            hint="the same names in braces in images and labels: images/{id}.tif with labels/{id}.tif",
        )
    found = _matches(images[0], root)
    if not found:
        raise InputError("no file fits", where=_below(images[0], root))
    return [_filled(entry, images, values, root) for values in found]


def _filled(
    entry: LabelledScene, images: Sequence[str], values: dict[str, str], root: Path | None
) -> LabelledScene:
    def fill(text: str) -> str:
        return _PLACE.sub(lambda m: values[m[1]], text)

    paths = [fill(text) for text in images]
    labels = fill(str(entry.labels))
    missing = next((p for p in (*paths, labels) if not Path(_below(p, root)).exists()), None)
    if missing is not None:
        raise InputError(
            "a scene lacks a file", where=_below(missing, root), why=f"{paths[0]} is there, this is not"
        )
    changed: dict[str, Any] = {"image": paths if len(paths) > 1 else paths[0], "labels": Path(labels)}
    return entry.model_copy(update=changed)


def _matches(template: str, root: Path | None) -> list[dict[str, str]]:
    """What stands in the place of each name, for every file that fits the template."""
    names: list[str] = []
    pattern, wild, end = "", "", 0
    text = _below(template, root)
    for place in _PLACE.finditer(text):
        fixed = text[end : place.start()]
        again = place[1] in names
        pattern += re.escape(fixed) + (f"(?P={place[1]})" if again else f"(?P<{place[1]}>[^/\\\\]+)")
        wild += glob.escape(fixed) + "*"
        names.append(place[1])
        end = place.end()
    pattern += re.escape(text[end:])
    wild += glob.escape(text[end:])
    files = sorted((f for f in glob.glob(wild) if Path(f).is_file()), key=natural_key)  # noqa: PTH207
    return [m.groupdict() for m in (re.fullmatch(pattern, f) for f in files) if m is not None]


def _placed(scene: LabelledScene, root: Path | None) -> LabelledScene:
    if root is None:
        return scene
    one = isinstance(scene.image, str)
    images = [_below(i, root) for i in ([scene.image] if isinstance(scene.image, str) else scene.image)]
    image = images[0] if one else images
    return scene.model_copy(update={"image": image, "labels": Path(_below(str(scene.labels), root))})


def _below(path: str, root: Path | None) -> str:
    return path if root is None else str(root / path)  # an absolute path stays as it is
