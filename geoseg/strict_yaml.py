"""YAML that means what it says: read strictly, and written so that it reads back the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from geoseg.errors import InputError

_MAX_YAML_BYTES = 1_000_000


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
    if loaded is None:
        hint = "keys in quotes where they begin with #, which else begins a comment"
        raise InputError("holds no keys", where=file, why="it is empty, or all comment", hint=hint)
    if not isinstance(loaded, dict):
        raise InputError("not a mapping of keys to values", where=file, why=f"found {type(loaded).__name__}")
    return loaded


def yaml_text(values: Mapping[str, Any]) -> str:
    """Text that `read_yaml` reads back to equal values, keys in their order."""
    text: str = yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


_LEADING_ZERO = "tag:geoseg,2024:leading-zero"
_TWO_WAYS = "tag:geoseg,2024:two-ways"
_PLAIN = {
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    _LEADING_ZERO: (r"[-+]?0[0-9]+", "-+0"),
    _TWO_WAYS: (r"[-+]?(?:[0-9]+_[0-9_]*|0[xob][0-9a-fA-F_]+)", "-+0123456789"),
}
"""What bare words mean: in YAML 1.1 no is false, 010 is 8, 1_1 is 11, 1:30 is 90, 2001-99-99 an exception."""


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
        mapping = dict(super().construct_mapping(node, deep))
        if len(mapping) < len(seen):  # 1 and 1.0 are one key, and so are 1 and true
            raise yaml.constructor.ConstructorError(None, None, "two keys are equal", node.start_mark)
        return mapping


def _refuse_leading_zero(loader: yaml.SafeLoader, node: Any) -> Any:
    raise yaml.constructor.ConstructorError(
        None, None, f"{node.value} has a leading zero; quote it: '{node.value}'", node.start_mark
    )


def _refuse_two_ways(loader: yaml.SafeLoader, node: Any) -> Any:
    raise yaml.constructor.ConstructorError(
        None,
        None,
        f"{node.value} is a number or a text; write the number plainly, or quote the text: '{node.value}'",
        node.start_mark,
    )


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what the loader would not take for text."""


for _tag, (_word, _first) in _PLAIN.items():
    _StrictLoader.add_implicit_resolver(_tag, re.compile(f"^(?:{_word})$"), list(_first))
_StrictLoader.add_constructor(_LEADING_ZERO, _refuse_leading_zero)
_StrictLoader.add_constructor(_TWO_WAYS, _refuse_two_ways)
for _tag in (_LEADING_ZERO, _TWO_WAYS):
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_PLAIN[_tag][0]})$"), list(_PLAIN[_tag][1]))
