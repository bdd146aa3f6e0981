"""What one chunk costs those who hand it out: CPU seconds of driver and scheduler, by workers and chunks.

    python -m benchmarks.many_workers                                     # 64 and 512 workers, 10,000 chunks
    python -m benchmarks.many_workers --workers 512 --chunks 100000 --processes 32

The workers are Dask's, dozens in a process, each with one thread and a task that answers at once with a
record as a prediction's: what is measured is the way of a chunk, not what is done to it. Beside it the
account that the driver keeps of every chunk (ledger), and how long a run takes to read it again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from geoseg.execution.ledger import Ledger
from geoseg.execution.run import run_chunks
from geoseg.execution.where import Where

_SERVE = "--serve"


def answer(index: int) -> dict[str, Any]:
    """Record as a chunk of a prediction gives."""
    counts = {str(i): 1_000_000 + index for i in range(8)}
    digests = {"classes": f"{index:032x}", "confidence": f"{index:032x}"}
    return {"digests": digests, "counts": counts, "tiles": 16, "skipped": 0, "seconds": 1.5}


@contextmanager
def cluster(workers: int, processes: int) -> Iterator[tuple[str, psutil.Process]]:
    """Address of a scheduler with so many workers in so many processes, and the scheduler's process."""
    listen = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        file = Path(folder) / "scheduler.json"

        def begin(*command: str, **options: Any) -> subprocess.Popen[str]:
            begun = subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.DEVNULL, **options)
            stack.callback(begun.wait)
            stack.callback(begun.kill)
            return begun

        scheduler = begin("distributed.cli.dask_scheduler", *listen, "--scheduler-file", str(file))
        serve = ("benchmarks.many_workers", _SERVE, str(file), "--workers")
        served = [
            begin(*serve, str(count), stdout=subprocess.PIPE, text=True)
            for count in shares(workers, processes)
        ]
        addresses = [str(process.stdout and process.stdout.readline()).strip() for process in served]
        if not all(addresses):
            raise SystemExit("workers did not start: fewer --workers, or more --processes")
        yield addresses[0], psutil.Process(scheduler.pid)


def shares(workers: int, processes: int) -> list[int]:
    """Workers of every process, as equal as can be; none without any."""
    return [n for k in range(processes) if (n := (workers + k) // processes)]


async def serve(file: Path, workers: int) -> None:
    """Workers of a scheduler, in this process, until it is killed; says its address when all are there."""
    from distributed import Worker

    begun = [Worker(scheduler_file=str(file), nthreads=1, dashboard=False) for _ in range(workers)]
    await asyncio.gather(*begun)
    print(begun[0].scheduler.address, flush=True)
    await asyncio.Event().wait()


def handed_out(workers: int, processes: int, chunks: int) -> tuple[float, float, float]:
    """Milliseconds per chunk: CPU of the driver, CPU of the scheduler, and wall."""
    with cluster(workers, processes) as (address, scheduler):
        done = 0
        before, began, mine = scheduler.cpu_times(), time.perf_counter(), time.process_time()
        for outcome in run_chunks(answer, range(chunks), Where(scheduler=address)):
            done += outcome.result()["tiles"]
        wall, mine, after = time.perf_counter() - began, time.process_time() - mine, scheduler.cpu_times()
    assert done == 16 * chunks
    theirs = after.user + after.system - before.user - before.system
    return 1000 * mine / chunks, 1000 * theirs / chunks, 1000 * wall / chunks


def accounted(chunks: int) -> tuple[float, float]:
    """Milliseconds of CPU per chunk: to write it into the ledger, and to read it when a run goes on."""
    with tempfile.TemporaryDirectory() as folder:
        path, mine = Path(folder) / "ledger.sqlite", time.process_time()
        with Ledger(path, {"scene": "a"}) as ledger:
            for index in range(chunks):
                ledger.set_done(index, answer(index))
        written, mine = time.process_time() - mine, time.process_time()
        with Ledger(path, {"scene": "a"}) as ledger:
            assert len(ledger.done()) == chunks
        return 1000 * written / chunks, 1000 * (time.process_time() - mine) / chunks


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000])
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="that the workers are in")
    parser.add_argument(_SERVE, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.workers[0]))
        return
    print("| workers | chunks | driver, CPU ms per chunk | scheduler, CPU ms per chunk | wall ms per chunk |")
    print("|---|---|---|---|---|")
    for workers in options.workers:
        for chunks in options.chunks:
            cells = " | ".join(f"{v:.2f}" for v in handed_out(workers, options.processes, chunks))
            print(f"| {workers} | {chunks:,} | {cells} |", flush=True)
    print("\n| chunks | written into the ledger, CPU ms per chunk | read again |\n|---|---|---|")
    for chunks in options.chunks:
        print(f"| {chunks:,} | " + " | ".join(f"{v:.3f}" for v in accounted(chunks)) + " |", flush=True)


if __name__ == "__main__":
    main()
