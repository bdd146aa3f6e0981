"""Jobs: one frozen pydantic model is one request, one function call, one YAML file, one command.

A job says *what* to compute, never *where*: only the job is hashed into a run's identity.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from glob import glob, has_magic
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, field_validator

from geoseg.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def _as_text(value: object) -> object:
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if text == "":
        raise ValueError("is empty")
    return text


Place = Annotated[str, BeforeValidator(_as_text)]
"""Text that says where something lies, or what it is called; a path may be given for it."""


def split_bands(value: object) -> object:
    """Bands given as one text, ``4,3,2``, as numbers and names; anything else as it is."""
    if isinstance(value, str):
        return [int(b) if b.strip().isdigit() else b.strip() for b in value.split(",") if b.strip()]
    return value


class Job(BaseModel):
    """Base of every request: frozen, and an unknown key is an error that names the nearest key."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # the help of a command reads fields and validates nothing
    )

    written: ClassVar[frozenset[str]] = frozenset({"out"})
    """Fields that name what is written; every other path is read."""

    places: ClassVar[frozenset[str]] = frozenset({"scene", "image", "mask"})
    """Fields of text that may name files, alone or by a pattern."""

    @field_validator("*", mode="before")
    @classmethod
    def _not_empty(cls, value: object, info: ValidationInfo) -> object:
        """No empty text for a path, which would be the folder that one happens to stand in."""
        if (
            isinstance(value, str)
            and not value
            and _is_path(cls.model_fields[str(info.field_name)].annotation)
        ):
            raise ValueError("is empty")
        return value

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: object = None) -> Self:
        """Job from a mapping; UsageError says which key, what was found and what to write instead."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise _explain(error, cls, where) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Job from a YAML file, read strictly."""
        from geoseg.strict_yaml import read_yaml

        return cls.parse(read_yaml(path), where=path)

    def inputs(self, root: Path = Path()) -> tuple[Path, ...]:
        """Files and folders that the job names and does not write; relative ones from `root`."""
        return tuple(
            path
            for name in type(self).model_fields
            if name not in self.written
            for path in _paths(getattr(self, name), root, name in self.places)
        )

    def dump(self) -> str:
        """YAML text that `load` reads back to an equal job; fields at None are left out."""
        from geoseg.strict_yaml import yaml_text

        return yaml_text(self.model_dump(mode="json", exclude_none=True))


def takes(job: type[Job]) -> Callable[[F], F]:
    """Decorator that shows the fields of `job` in the signature of a verb that takes them as ``**options``.

    ``help`` and completion then know every option with its default, which stands in the job alone.
    """

    def signed(verb: F) -> F:
        own = inspect.signature(verb)
        said = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        fields = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty
                if field.is_required()
                else field.get_default(call_default_factory=True),
                annotation=field.annotation,
            )
            for name, field in job.model_fields.items()
            if name not in own.parameters
        ]
        verb.__signature__ = own.replace(parameters=[*said, *fields])  # type: ignore[attr-defined]
        verb.job = job  # type: ignore[attr-defined]
        return verb

    return signed


def _is_path(annotation: Any) -> bool:
    return annotation is Path or any(_is_path(part) for part in get_args(annotation))


def _paths(value: object, root: Path, is_place: bool) -> Iterator[Path]:
    """Paths in the value of a field."""
    if isinstance(value, Job):
        yield from value.inputs(root)
    elif isinstance(value, Path):
        yield root / value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part, root, is_place)
    elif isinstance(value, str) and is_place:
        found = glob(str(root / value)) if has_magic(value) else []  # noqa: PTH207 (relative and absolute ones)
        yield from map(Path, found or [str(root / value)])


def _explain(error: ValidationError, job: type[BaseModel], where: object) -> UsageError:
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = ".".join(part for part in map(str, first["loc"]) if not part.startswith("function-"))
    if first["type"] == "extra_forbidden":
        import difflib

        near = difflib.get_close_matches(str(first["loc"][-1]), list(job.model_fields), n=1)
        return UsageError(
            f"unknown key {key!r}",
            where=where,
            why=f"known are {', '.join(job.model_fields)}",
            hint=f"{near[0]!r}" if near else None,
        )
    if first["type"] == "missing":
        named = f"`{key}`" if key.isidentifier() else repr(key)
        return UsageError(f"{named} is missing", where=where)
    given = first["input"]
    found = "" if isinstance(given, dict) else f", found {str(given) if isinstance(given, Path) else given!r}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        message = "holds a character that it must not"
    return UsageError(f"{key!r}: {message}{found}" if key else message, where=where)
