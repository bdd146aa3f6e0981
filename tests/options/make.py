"""What editors know of the options of each verb, written anew: ``python -m tests.options.make``."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

import geoseg
from geoseg.job import Job, Place

MODULE = Path(geoseg.__file__).with_name("options.py")
HEAD = '''"""Keyword arguments of the verbs, for editors and type checkers: the fields of their jobs.

Written by ``python -m tests.options.make`` from the jobs, which say what each means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypedDict

FilePath = str | PathLike[str]
'''


def verbs() -> Iterator[tuple[str, Any, type[Job]]]:
    """(name, verb, job) of every verb that takes the fields of a job as ``**options``."""
    for name, module in sorted(geoseg._EXPORTS.items()):
        verb = getattr(import_module(module), name)
        if (job := getattr(verb, "job", None)) is not None:
            yield name, verb, job


def options(verb: Any, job: type[Job]) -> Mapping[str, Any]:
    """Type of each field of a job that its verb takes as one of ``**options``."""
    own = signature(verb, follow_wrapped=False)
    named = set(verb.__code__.co_varnames[: verb.__code__.co_argcount + verb.__code__.co_kwonlyargcount])
    assert all(p.kind is not Parameter.VAR_KEYWORD for p in own.parameters.values())
    return {name: type_of(field) for name, field in job.model_fields.items() if name not in named}


def type_of(field: FieldInfo) -> Any:
    """What a field is declared as; pydantic keeps the outermost `Annotated` apart."""
    marks = [mark for mark in field.metadata if mark in Place.__metadata__]
    return Place if marks else field.annotation


def class_name(job: type[Job]) -> str:
    """``EvaluateOptions`` of ``EvaluateJob``."""
    return f"{job.__name__.removesuffix('Job')}Options"


def page() -> str:
    """The module."""
    parts = [HEAD]
    done: dict[str, Mapping[str, Any]] = {}
    for name, verb, job in verbs():
        found = options(verb, job)
        if done.setdefault(class_name(job), found) is not found:
            assert done[class_name(job)] == found, f"{name} takes other options than another verb of its job"
            continue
        lines = [f"    {key}: {written(kind)}" for key, kind in found.items()]
        parts.append(
            f"class {class_name(job)}(TypedDict, total=False):\n"
            f'    """Options of `{job.__name__}`."""\n\n' + "\n".join(lines) + "\n"
        )
    text = "\n\n".join(parts)
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", str(MODULE), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def written(kind: Any) -> str:
    """A type of a field as what a caller may pass for it."""
    members = dict.fromkeys(_members(kind))
    return " | ".join(sorted(members, key=lambda member: member == "None"))


def _members(kind: Any) -> Iterator[str]:
    origin, inner = get_origin(kind), get_args(kind)
    if kind == Place:
        yield "FilePath"
    elif origin is Annotated:
        yield from _members(inner[0])
    elif origin in (Union, types.UnionType):
        yield from (part for member in inner for part in _members(member))
    elif origin is Literal:
        yield f"Literal[{', '.join(map(repr, inner))}]".replace("'", '"')
    elif origin in (list, tuple):
        one = [*_members(next(member for member in inner if member is not Ellipsis))]
        nested = any("[" in member for member in one)
        yield from (*one, "str", "Sequence[Any]" if nested else f"Sequence[{' | '.join(dict.fromkeys(one))}]")
    elif origin is dict or kind is dict:
        yield "Mapping[Any, Any]"
    elif kind in (types.NoneType, None):
        yield "None"
    elif kind is Path:
        yield "FilePath"
    else:
        yield "Any" if kind is Any or kind.__module__ != "builtins" else kind.__name__


if __name__ == "__main__":
    MODULE.write_text(page(), encoding="utf-8")
