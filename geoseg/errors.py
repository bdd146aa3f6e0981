"""Errors that a user can act on: what went wrong, where, what was found against expected, what to try.

Every error that geoseg raises on purpose is a `GeosegError`; the command line turns it into one line and
an exit code. Anything else that reaches the user is a defect.
"""

from __future__ import annotations


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

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by parts, so that an error survives the way back from a worker process."""
        return (_rebuild, (type(self), self.what, self.where, self.why, self.hint))


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
