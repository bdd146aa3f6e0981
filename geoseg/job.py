"""Jobs: one frozen pydantic model is one request, one function call, one YAML file, one command.

A job says *what* to compute, never *where*: only the job is hashed into a run's identity.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from geoseg.errors import InputError, UsageError

F = TypeVar("F", bound=Callable[..., Any])

_MAX_YAML_BYTES = 1_000_000


class Job(BaseModel):
    """Base of every request: frozen, and an unknown key is an error that names the nearest key."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # the help of a command reads fields and validates nothing
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
        fields = self.model_dump(mode="json", exclude_none=True)
        text: str = yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        return text


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


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Mapping from a YAML file, read safely.

    Refused, with the line: duplicate keys (YAML keeps the last silently), anchors and aliases (they can
    expand without bound), bare numbers with a leading zero (YAML reads 010 as 8), files over 1 MB, and
    anything but a mapping at the top. A bare yes, no, on or off is text, and so is a date.
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
        raise InputError("not valid YAML", where=file, why=" ".join(str(error).split())[:500]) from None
    except RecursionError:
        raise InputError("not valid YAML", where=file, why="nested too deep") from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:  # a value that its tag cannot hold
        reason = " ".join(str(error).split())[:200]
        raise InputError("not valid YAML", where=file, why=f"a value cannot be read: {reason}") from None
    except OSError as error:
        raise InputError("cannot be read", where=file, why=error.strerror) from None
    if not isinstance(loaded, dict):
        raise InputError("not a mapping of keys to values", where=file, why=f"found {type(loaded).__name__}")
    return loaded


_LEADING_ZERO = "tag:geoseg,2024:leading-zero"
_PLAIN = {
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)", "-+0123456789"),
    _LEADING_ZERO: (r"[-+]?0[0-9_]+", "-+0"),
}
"""What bare words mean: in YAML 1.1 no is false, 010 is 8, 1:30 is 90, and 2001-99-99 an exception."""


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys, aliases and numbers with a leading zero."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as the base class has it)
        first: [(tag, word) for tag, word in found if tag not in {*_PLAIN, "tag:yaml.org,2002:timestamp"}]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

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


def _refuse_leading_zero(loader: yaml.SafeLoader, node: Any) -> Any:
    raise yaml.constructor.ConstructorError(
        None, None, f"{node.value} has a leading zero; quote it: '{node.value}'", node.start_mark
    )


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what the loader would not take for text."""


for _tag, (_word, _first) in _PLAIN.items():
    _StrictLoader.add_implicit_resolver(_tag, re.compile(f"^(?:{_word})$"), list(_first))
_StrictLoader.add_constructor(_LEADING_ZERO, _refuse_leading_zero)
_Dumper.add_implicit_resolver(_LEADING_ZERO, re.compile(f"^(?:{_PLAIN[_LEADING_ZERO][0]})$"), list("-+0"))


def _explain(error: ValidationError, job: type[BaseModel], where: object) -> UsageError:
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = ".".join(str(part) for part in first["loc"])
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
    given = first["input"]
    found = "" if isinstance(given, dict) else f", found {str(given) if isinstance(given, Path) else given!r}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        message = "holds a character that it must not"
    return UsageError(f"{key!r}: {message}{found}" if key else message, where=where)
