"""Options of a command from the fields of its job: name, type, default and help are said once, in the job."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import click

from geoseg.cli.paths import FilePath
from geoseg.errors import say_options
from geoseg.raster.reading import Reading

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from geoseg.execution import Where
    from geoseg.job import Job

F = TypeVar("F", bound=Callable[..., Any])
J = TypeVar("J", bound="Job")

_SECTION = re.compile(r"^([a-z_][\w, ]*)\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.])\s+(?=[A-Z`\"])")


def job_options(
    job: type[Job], *, without: Collection[str] = (), **table: Mapping[str, Any]
) -> Callable[[F], F]:
    """Decorator that gives a command an option for every field of `job`; what was not given is None.

    Parameters
    ----------
    job
        The job; the first sentence of a field's section in its docstring is the option's help.
    without
        Fields that are arguments, or not for the command line.
    table
        What cannot be derived, by field: keyword arguments of ``click.option``, and ``names`` for its own.
    """

    def decorate(command: F) -> F:
        for name, field in reversed(list(_fields(job))):
            if name not in without:
                command = _option(job, name, field, table.get(name, {}))(command)
        return command

    return decorate


def job_of(job: type[J], options: Mapping[str, Any], **fixed: Any) -> J:
    """Job of what was given on the command line."""
    return job.parse({**given(options), **fixed})


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that were given: no None, no flag that is not set, no empty list."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in options.items()
        if value is not None and value is not False and value != ()
    }


def one_or_more(values: tuple[str, ...]) -> str | list[str]:
    """The one value, or all of them."""
    return values[0] if len(values) == 1 else list(values)


@cache
def sentences(job: type[Job]) -> dict[str, str]:
    """First sentence of what the docstrings of a job and its parts say of each field."""
    found: dict[str, str] = {}
    for part in reversed(job.__mro__):
        for names, text in _SECTION.findall(f"{inspect.cleandoc(part.__doc__ or '')}\n"):
            first = _SENTENCE.split(" ".join(text.split()))[0].removesuffix(".")
            found.update(dict.fromkeys((name.strip() for name in names.split(",")), first))
    return {name: found[name] for name in job.model_fields if name in found}


_WHERE = {
    "workers": click.option(
        "--workers", default="0", show_default=True, help="0: this process; N processes; or 'gpu'."
    ),
    "threads": click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="CPU threads; by default the cores, shared among workers.",
    ),
    "scheduler": click.option(
        "--scheduler", metavar="ADDRESS", help="A running Dask scheduler, like tcp://host:8786."
    ),
}


def where_options(*names: str) -> Callable[[F], F]:
    """Decorator for where a command runs: all of ``workers``, ``threads`` and ``scheduler``, or some."""

    def decorate(command: F) -> F:
        for name in reversed(names or tuple(_WHERE)):
            command = _WHERE[name](command)
        return command

    return decorate


def take_where(options: dict[str, Any]) -> Where:
    """Where a command runs; taken out of its options."""
    from geoseg.execution import Where

    return Where.parse(*(options.pop(name, default) for name, default in _PLACE.items()))


_PLACE: Mapping[str, Any] = {"workers": 0, "scheduler": None, "threads": None}


def _fields(job: type[Job]) -> Iterator[tuple[str, FieldInfo]]:
    """Fields in the order of the help: the job's own, then how rasters are read."""
    late = [name for name in job.model_fields if name in Reading.model_fields]
    for name in (*(n for n in job.model_fields if n not in late), *late):
        yield name, job.model_fields[name]


def _option(job: type[Job], name: str, field: FieldInfo, table: Mapping[str, Any]) -> Callable[[F], F]:
    text = sentences(job).get(name, "").replace("``", "")
    settings: dict[str, Any] = {
        "help": f"{say_options(text, lambda other, _: _flag(other))}.{_default(field)}",
        "required": field.is_required(),
        **_type(field.annotation),
    }
    settings |= table
    names = settings.pop("names", (_flag(name),))
    return click.option(*names, name, default=None, **settings)


def _default(field: FieldInfo) -> str:
    """Default for the help; none where nothing happens unless the option is given."""
    value = field.default
    if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        return f"  [default: {value:g}]" if isinstance(value, float) else f"  [default: {value}]"
    return ""


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _type(annotation: Any) -> dict[str, Any]:
    """Settings of an option that takes values of a type; text where a field takes several."""
    kinds = [k for k in _kinds(annotation) if k is not types.NoneType]
    if Path in kinds:
        return {"type": FilePath(path_type=Path)}
    if len(kinds) != 1:
        return {"type": str}
    (kind,) = kinds
    if get_origin(kind) is Literal:
        return {"type": click.Choice(get_args(kind))}
    if kind is bool:
        return {"is_flag": True}
    if get_origin(kind) is list and get_args(kind) in ((float,), (str,)):
        return {"type": get_args(kind)[0], "multiple": True}
    return {"type": kind if kind in (int, float) else str}


def _kinds(annotation: Any) -> Iterator[Any]:
    """Members of a union, without what Annotated adds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _kinds(member)
    else:
        yield annotation
