"""Errors that a user can act on: what went wrong, where, what was found against expected, what to try.

Every error that geoseg raises on purpose is a `GeosegError`; the command line turns it into one line and
an exit code. Anything else that reaches the user is a defect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_OPTION = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`\n]*))?`")


class GeosegError(Exception):
    """An error in four parts, printed as ``where: what. why. Try: hint`` on one line.

    Parameters
    ----------
    what
        The fact, without a full stop ("no coordinate reference system").
    where
        The file, field or chunk it was found in.
    why
        Found against expected, or the cause.
    hint
        The next step for the user.

    Notes
    -----
    An option stands in a message as the field of its job in backticks, ```assume_crs=EPSG:32633``` or
    ```overwrite```: so a caller from Python reads it. Other doors put their own words (`say_options`).
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: object = None, why: str | None = None, hint: str | None = None
    ) -> None:
        self.what, self.where, self.why, self.hint = what, where, why, hint
        super().__init__(what, where, why, hint)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where is not None else self.what
        for part in (self.why, f"Try: {self.hint}" if self.hint else None):
            if part:
                text = f"{text.rstrip('.')}. {part}"
        return text if text.endswith((".", "?", "!")) else f"{text}."

    def renamed(self, names: Mapping[str, str]) -> GeosegError:
        """The same error with options called by other names, where a job has more than one raster."""
        why, hint = (None if part is None else renamed(part, names) for part in (self.why, self.hint))
        return type(self)(renamed(self.what, names), where=self.where, why=why, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by parts, so that an error survives the way back from a worker process."""
        return (_rebuild, (type(self), self.what, self.where, self.why, self.hint))


def say_options(text: str, say: Callable[[str, str | None], str]) -> str:
    """`text` with every option (a name in backticks, perhaps with ``=value``) put as ``say(name, value)``."""
    return _OPTION.sub(lambda found: say(found[1], found[2]), text)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """`text` with options called by other names."""
    return say_options(
        text, lambda name, value: f"`{names.get(name, name)}{'' if value is None else f'={value}'}`"
    )


def _rebuild(
    kind: type[GeosegError], what: str, where: object, why: str | None, hint: str | None
) -> GeosegError:
    return kind(what, where=where, why=why, hint=hint)


class UsageError(GeosegError):
    """The request itself is wrong: an option, a configuration key, a combination."""

    exit_code = 2


class InputError(GeosegError):
    """A file that was given cannot be used as it is."""

    exit_code = 3


class ChunksFailedError(GeosegError):
    """Some chunks could not be computed; no product was published."""

    exit_code = 4


class ResourceError(GeosegError):
    """Memory, disk or a device is missing or too small."""

    exit_code = 5


class OutputConflictError(GeosegError):
    """The output exists, belongs to another run, or cannot be written."""

    exit_code = 6
