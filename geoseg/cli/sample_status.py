"""`geoseg sample status`: what has been labelled of a sample, and how far people agree."""

from __future__ import annotations

import json
from pathlib import Path

import click

from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen, show_notes
from geoseg.sampling.job import SampleStatusJob

_MOST_NAMED = 10


@click.command("status")
@click.argument("sample", type=FilePath(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs: everything as JSON.")
def command(sample: Path, as_json: bool) -> None:
    """What has been labelled of SAMPLE, per stratum and interpreter, and how far interpreters agree."""
    from rich.table import Table

    from geoseg.sampling.status import run_sample_status

    status = run_sample_status(SampleStatusJob.parse({"sample": sample}))
    if as_json:
        say(json.dumps(status.to_json(), indent=2, ensure_ascii=False))
        return
    show_notes(status.notes)
    console = screen()
    for heading, rows in (("stratum", (*status.strata, status.total)), ("interpreter", status.interpreters)):
        table = Table(heading, box=None, pad_edge=False)
        for name in ("labelled", "unknown", "left"):
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(row.name, f"{row.labelled:,}", f"{row.unknown:,}", f"{row.left:,}")
        console.print(table)
        console.print()
    for found in status.agreements:
        kind = "Cohen's" if len(found.interpreters) == 2 else "Fleiss'"
        kappa = "" if found.kappa is None else f", {kind} kappa {found.kappa:.3f}"
        who, share = ", ".join(found.interpreters), 100 * found.agreed
        say(f"{who} agree on {share:.1f} % of {found.units:,} units{kappa}")
    if status.disputed:
        more = " and more" if len(status.disputed) > _MOST_NAMED else ""
        say(f"disputed, to be settled in sample: {', '.join(status.disputed[:_MOST_NAMED])}{more}")
    say("all done" if status.next_order is None else f"go on with order {status.next_order}")
