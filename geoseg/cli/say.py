"""What reaches the terminal: options as flags, and no character of a name that the terminal would obey."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.errors import say_options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# C0 and C1 controls but tab and newline, what turns the direction of writing, and lone surrogates
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NOTHING = re.compile("(?!)")
_PASSWORD = re.compile(r"(?<=://)[^\s/@]+(?=@)|(?<=[ :]password=)[^\s'\"]+", re.IGNORECASE)
_SECRET = re.compile(
    r"(?i)(?<=[?&])([\w.-]*(?:signature|token|secret|credential|password|key|sig|sas|auth)[\w.-]*=)[^\s&'\"]+"
)


def say(text: str, *, err: bool = False) -> None:
    """Print one text in the words of the command that runs."""
    context = click.get_current_context(silent=True)
    click.echo(in_flags(text, None if context is None else context.command), err=err)


def in_flags(text: str, command: click.Command | None) -> str:
    """`text` made safe, its options as `command` takes them: flags, or keys of its job file."""
    parameters = {p.name: p for p in command.params if p.name} if command else {}
    return safe(say_options(text, partial(_flag, parameters)))


def safe(text: str) -> str:
    """`text` with characters that a terminal obeys written out, and without the secrets of an address.

    A path below the working folder is shown from there, whether it was given so or not.
    """
    shown = _below().sub("", text)
    shown = _OBEYED.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), shown)
    return _SECRET.sub(r"\1***", _PASSWORD.sub("***", shown))


def _below() -> re.Pattern[str]:
    """The working folder where it begins a path; nothing where there is none or it is the root."""
    try:
        folder = str(Path.cwd() / "")
    except OSError:
        return _NOTHING
    return (
        re.compile(rf"(?<![^\s'\"(=,]){re.escape(folder)}{re.escape(os.sep)}")
        if len(folder) > 1
        else _NOTHING
    )


def shown(path: Path) -> str:
    """A file that was written, as every command shows it: from the working folder if it lies there."""
    return safe(os.path.abspath(path))  # noqa: PTH100 (a symbolic link keeps the name that was given)


def hectares(value: float) -> str:
    """Hectares with as many decimals as their size asks for, never 0.00 of something."""
    return f"{value:,.2f}" if value >= 1 or not value else f"{value:.3g}"


def pixel_count(count: float) -> str:
    """A number of pixels, in millions where there are many."""
    return f"{count / 1e6:,.1f} Mpx" if count >= 1e6 else f"{count:,.0f} px"


def pixels_per_second(count: float, seconds: float) -> str:
    """A speed, in millions of pixels where that says something."""
    speed = count / max(seconds, 1e-9)
    return f"{speed / 1e6:,.2f} Mpx/s" if speed >= 1e4 else f"{speed:,.0f} px/s"


def size(count: float) -> str:
    """A number of bytes."""
    if count < 1e5:
        return f"{math.ceil(count / 1e3)} kB"
    return f"{count / 1e6:,.0f} MB" if count >= 1e7 else f"{count / 1e6:,.1f} MB"


def screen(*, err: bool = False) -> Console:
    """Console for tables and lines; a name in them is never read as markup or obeyed."""
    from rich.console import Console

    class Screen(Console):
        def render_str(self, text: str, **options: Any) -> Any:
            return super().render_str(safe(text), **options)

    return Screen(stderr=err, markup=False, highlight=False, soft_wrap=True)


def show_table(table: Table) -> None:
    """Print a table as wide as it is: a narrow terminal breaks its lines, nothing in it is cut."""
    from rich.measure import Measurement

    console = screen()
    natural = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
    console.width = max(natural, console.width)
    console.print(table)


def show_notes(notes: Iterable[str]) -> None:
    """Print what the user should know, one line each, on standard error."""
    for note in notes:
        say(f"note: {note}", err=True)


def _flag(parameters: Mapping[str, click.Parameter], name: str, value: str | None) -> str:
    parameter = parameters.get(name)
    if isinstance(parameter, click.Argument):
        return name.upper() if value is None else shlex.quote(value)
    if parameter is None and parameters:
        return name if value is None else f"{name}: {value}"
    flag = max(parameter.opts, key=len) if parameter else f"--{name.replace('_', '-')}"
    return flag if value is None else f"{flag} {shlex.quote(value)}"
