"""Progress for people: a bar on a terminal, a line every 30 seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from geoseg.cli.say import pixels_per_second, screen

_LINE_EVERY = 30.0


@contextmanager
def pixel_progress(verb: str) -> Iterator[Callable[[Any], None]]:
    """Callback for a verb's progress reports, shown as tiles, pixels per second and time left."""
    if sys.stderr.isatty():
        with _bar(verb) as report:
            yield report
    else:
        yield _lines(verb)


@contextmanager
def counted_progress(verb: str, what: str) -> Iterator[Callable[[Any], None] | None]:
    """Callback for reports of how many of `total` are `done`: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(verb), BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeRemainingColumn())
    with Progress(*columns, console=screen(err=True), transient=True) as bar:
        task = bar.add_task(verb, total=None)

        def report(progress: Any) -> None:
            bar.update(task, total=progress.total, completed=progress.done)

        yield report


@contextmanager
def _bar(verb: str) -> Iterator[Callable[[Any], None]]:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen(err=True), transient=True) as bar:
        task = bar.add_task(verb, total=None, detail="")
        started = time.monotonic()

        def report(progress: Any) -> None:
            bar.update(
                task,
                description=progress.stage,
                total=progress.tiles_total,
                completed=progress.tiles,
                detail=_detail(progress, time.monotonic() - started),
            )

        yield report


def _lines(verb: str) -> Callable[[Any], None]:
    started = time.monotonic()
    last = [started]

    def report(progress: Any) -> None:
        now = time.monotonic()
        if now - last[0] < _LINE_EVERY:
            return
        last[0] = now
        share = progress.tiles / max(progress.tiles_total, 1)
        fresh = progress.tiles - progress.tiles_resumed
        left = (progress.tiles_total - progress.tiles) * (now - started) / fresh if fresh else float("inf")
        detail = _detail(progress, now - started)
        click.echo(f"{verb}: {share:.0%}, {detail}, {_duration(left)} left", err=True)

    return report


def _detail(progress: Any, seconds: float) -> str:
    share = (progress.tiles - progress.tiles_resumed) / max(progress.tiles_total, 1)
    speed = pixels_per_second(share * progress.total, seconds)
    failed = f", {progress.failed} chunks failed" if progress.failed else ""
    return f"{progress.tiles:,}/{progress.tiles_total:,} tiles, {speed}{failed}"


def _duration(seconds: float) -> str:
    if seconds == float("inf"):
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
