"""`geoseg sample`: a probability sample of a map, from its design to what is estimated from it."""

from __future__ import annotations

import click

from geoseg.cli import sample_design, sample_estimate, sample_exchange, sample_status


@click.group("sample")
def command() -> None:
    """Design, label and evaluate a probability sample of a map."""


for part in (
    sample_design.command,
    sample_exchange.export_command,
    sample_exchange.import_command,
    sample_status.command,
    sample_estimate.command,
):
    command.add_command(part)
