"""`geoseg sample`: a probability sample of a map, from its design to what is estimated from it."""

from __future__ import annotations

import click

from geoseg.cli import sample_design, sample_estimate


@click.group("sample")
def command() -> None:
    """Design, label and evaluate a probability sample of a map."""


for part in (sample_design, sample_estimate):
    command.add_command(part.command)
