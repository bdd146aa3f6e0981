"""Many scenes in one line: a name in braces stands for the part in which their file names differ."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from geoseg.errors import InputError
from geoseg.raster.scene import Scene
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
    found = []
    for entry in scenes:
        one = isinstance(entry.image, str)
        images = [entry.image] if isinstance(entry.image, str) else entry.image
        for *paths, labels in filled([*images, str(entry.labels)], root):
            image = paths[0] if one else paths
            found.append(entry.model_copy(update={"image": image, "labels": Path(labels)}))
    return found


def filled(paths: Sequence[str], root: Path | None = None) -> list[list[str]]:
    """Paths below `root` where they are relative; as often as files fit the names in braces of the first.

    Raises
    ------
    InputError
        No file fits, or another of the files is missing.
    """
    names = _PLACE.findall(paths[0])
    later = {n for text in paths[1:] for n in _PLACE.findall(text)}
    if not names and not later:
        return [[_below(path, root) for path in paths]]
    if later - set(names):
        raise InputError(
            f"{{{sorted(later - set(names))[0]}}} does not stand in the first image",
            where=paths[0],
            hint="the same names in braces in images and labels: images/{id}.tif with labels/{id}.tif",
        )
    found = _matches(paths[0], root)
    if not found:
        raise InputError("no file fits", where=_below(paths[0], root))
    return [_filled(paths, values, root) for values in found]


def require_alike(scenes: Sequence[Scene]) -> None:
    """Nothing, if all scenes have as many bands of one data type; else InputError."""
    first = scenes[0]
    for scene in scenes[1:]:
        if (scene.count, scene.dtype) != (first.count, first.dtype):
            raise InputError(
                "scenes do not go together",
                where=scene.name,
                why=f"{scene.count} bands of {scene.dtype}, {first.name} has {first.count} of {first.dtype}",
                hint="choose the same bands with bands, and bring them to one scaling",
            )


def _filled(paths: Sequence[str], values: dict[str, str], root: Path | None) -> list[str]:
    found = [_below(_PLACE.sub(lambda m: values[m[1]], text), root) for text in paths]
    missing = next((path for path in found if not Path(path).exists()), None)
    if missing is not None:
        raise InputError("a scene lacks a file", where=missing, why=f"{found[0]} is there, this is not")
    return found


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


def _below(path: str, root: Path | None) -> str:
    return path if root is None else str(root / path)  # an absolute path stays as it is
