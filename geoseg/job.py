"""Jobs: one frozen pydantic model is one request, one function call, one YAML file, one command.

A job says *what* to compute, never *where*: only the job is hashed into a run's identity.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from geoseg.errors import InputError, UsageError

_MAX_YAML_BYTES = 1_000_000


class Job(BaseModel):
    """Base of every request: frozen, and an unknown key is an error that names the nearest key."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=True
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: object = None) -> Self:
        """Job from a mapping; UsageError says which key, what was found and what to write instead."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise _explain(error, cls, where) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Job from a YAML file (see `read_yaml`)."""
        return cls.parse(read_yaml(path), where=path)

    def dump(self) -> str:
        """YAML text that `load` reads back to an equal job; fields at None are left out."""
        return yaml.safe_dump(
            self.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True
        )


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Mapping from a YAML file, read safely.

    Refused, with the line: duplicate keys (YAML keeps the last silently), anchors and aliases (they can
    expand without bound), files over 1 MB, and anything but a mapping at the top.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("not found", where=file.absolute())
    if file.stat().st_size > _MAX_YAML_BYTES:
        raise InputError("too large for a configuration", where=file, why=f"{file.stat().st_size} bytes")
    try:
        loaded = _StrictLoader(file.read_text(encoding="utf-8")).get_single_data()
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", where=file, why=str(error)) from None
    except yaml.YAMLError as error:
        raise InputError("not valid YAML", where=file, why=" ".join(str(error).split())) from None
    if not isinstance(loaded, dict):
        raise InputError("not a mapping of keys to values", where=file, why=f"found {type(loaded).__name__}")
    return loaded


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


def _explain(error: ValidationError, job: type[BaseModel], where: object) -> UsageError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "configuration"
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), list(job.model_fields), n=1)
        return UsageError(
            f"unknown key {key!r}",
            where=where,
            why=f"known are {', '.join(job.model_fields)}",
            hint=f"{near[0]!r}" if near else None,
        )
    if first["type"] == "missing":
        return UsageError(f"{key!r} is missing", where=where)
    found = "" if isinstance(first["input"], dict) else f", found {first['input']!r}"
    message = first["msg"].removeprefix("Value error, ")
    return UsageError(f"{key!r}: {message}{found}", where=where)
