"""The `geoseg` command: one file per subcommand, loaded only when it is called."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from typing import Any

import click

from geoseg.cli.say import in_flags, safe
from geoseg.cli.signals import Terminated, listen
from geoseg.errors import GeosegError, ResourceError
from geoseg.version import __version__

_UNFORESEEN = 70  # EX_SOFTWARE of sysexits.h
_COMMANDS = {
    "plan": "Tiles, memory and cost of a prediction, without running it.",
    "predict": "Class map and confidence of a scene.",
    "prompt": "Objects at points and in boxes of a layer.",
    "clean": "A class map made calmer: small areas, narrow parts and holes removed.",
    "vectorize": "Polygons of a class map.",
    "evaluate": "Scores of a class map against a reference.",
    "change": "Transitions between two class maps.",
    "landscape": "Patches, edges and core areas of a class map.",
    "sample": "Design, label and evaluate a probability sample of a map.",
    "zones": "A map, a change or a series added up within plots.",
    "series": "What became of each pixel over class maps of many dates.",
    "fit": "A baseline without weights: an index, clusters, a random forest.",
    "pretrain": "Weights of an encoder from scenes without labels.",
    "train": "A model of your own from labelled scenes.",
    "adapt": "A model brought to one scene by a few labels on it.",
    "suggest": "Squares to label next: where the model is unsure.",
    "report": "Workbook, pictures and methods paragraph of a study's results.",
    "run": "Everything in a job file, in one go.",
    "verify": "Check a run's files against its manifest.",
    "model": "List, show, get, compare, export and import models.",
    "demo": "The whole chain on a synthetic frontier scene, offline.",
    "doctor": "What is installed here and what is missing.",
}


class _LazyGroup(click.Group):
    """Group whose subcommands are imported when called, so that --help loads nothing heavy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"geoseg.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None
            raise


_RESUMING = ("predict", "series", "pretrain", "train", "adapt", "run", "model compare", "model int8")
_COMPLETION = """\b
Completion of commands and options by the shell:
  bash  eval "$(_GEOSEG_COMPLETE=bash_source geoseg)"
  zsh   eval "$(_GEOSEG_COMPLETE=zsh_source geoseg)"
  fish  _GEOSEG_COMPLETE=fish_source geoseg | source
"""


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    click.echo(f"geoseg, version {__version__}")
    try:
        from geoseg.raster.versions import library_versions

        versions = {**library_versions(), "torch": version("torch")}
    except Exception as error:  # a broken library may raise anything; geoseg doctor says more
        versions = {"libraries": f"broken ({type(error).__name__}), see geoseg doctor"}
    click.echo(", ".join(f"{name} {number}" for name, number in versions.items()))
    ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_COMPLETION)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the versions of geoseg, GDAL, PROJ and torch.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Turn satellite scenes far larger than memory into land-use and deforestation maps.

    \b
      geoseg demo
      geoseg predict scene.tif --model forest-s2-rgb --out out
      geoseg vectorize out/classes.tif --out out/classes.gpkg
      geoseg evaluate out/classes.tif reference.gpkg --field class --out out/scores.json
    """  # noqa: D301 (click reads \b)
    ctx.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 ok, 2 usage or configuration, 3 input, 4 chunks failed, 5 resources, 6 output conflict,
    70 what nobody foresaw, 130 and 143 for Ctrl-C and SIGTERM.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments or bool(os.environ.get("GEOSEG_DEBUG"))
    listen()
    # to look for plugins of pydantic it reads what every installed package says of itself
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        cli.main([a for a in arguments if a != "--debug"], prog_name="geoseg", standalone_mode=False)
    except GeosegError as error:
        if debug:
            raise
        click.echo(f"geoseg: {in_flags(str(error), _command_of(arguments))}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        click.echo(safe(shown.getvalue()), nl=False, err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"geoseg: interrupted. {_what_next(arguments)}", err=True)
        sys.exit(130)
    except Terminated:
        click.echo(f"geoseg: terminated. {_what_next(arguments)}", err=True)
        sys.exit(143)
    except MemoryError:
        if debug:
            raise
        click.echo("geoseg: out of memory. Try: a smaller --chunk, --tile or --batch.", err=True)
        sys.exit(5)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if debug:
            raise
        if (full := _of_the_disk(error)) is not None:
            click.echo(f"geoseg: {safe(str(full))}", err=True)
            sys.exit(full.exit_code)
        click.echo(f"geoseg: {_unforeseen(error)}", err=True)
        sys.exit(_UNFORESEEN)


def _of_the_disk(error: Exception) -> ResourceError | None:
    """What a full disk did where no output was written, as to temporary files; None for another error."""
    from geoseg.files import is_full_disk

    if not isinstance(error, OSError) or not (is_full_disk(error) or "temporary dir" in str(error.strerror)):
        return None
    return ResourceError(
        "cannot be written",
        where=error.filename or "temporary files",
        why=str(error.strerror),
        hint="free some disk space, or set TMPDIR to a folder on another disk",
    )


def _unforeseen(error: Exception) -> str:
    """The last resort in one line: what was raised, and the file with its traceback."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    what = safe(" ".join(f"{type(error).__name__}: {error}".split())[:300]).rstrip(".")
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="geoseg-error-",
            suffix=".txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file:
            file.write(f"geoseg {__version__}, Python {sys.version}\n{text}")
    except OSError:
        return f"a defect of geoseg: {what}. Try: --debug for the traceback, and please report it."
    return f"a defect of geoseg: {what}. Try: please report it with {file.name} (the traceback)."


def _command_of(arguments: list[str]) -> click.Command | None:
    """The command that ran, to word a message; None where nothing ran."""
    found: click.Command | None = None
    for name in (a for a in arguments if not a.startswith("-")):
        if found is None and name in _COMMANDS:
            found = _LazyGroup().get_command(click.Context(cli), name)
        elif isinstance(found, click.Group):
            found = found.get_command(click.Context(found), name) or found
        if found is not None and not isinstance(found, click.Group):
            break
    return found


def _what_next(arguments: list[str]) -> str:
    """What the command that was stopped does when it is given again."""
    words = [a for a in arguments if not a.startswith("-")]
    if " ".join(words[:1]) in _RESUMING or " ".join(words[:2]) in _RESUMING:
        return "The same command resumes."
    return "Nothing half-written is left; the same command starts anew."
