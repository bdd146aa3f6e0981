"""The resumable loop with a product of its own: nothing in it knows what a prediction makes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.errors import ChunksFailedError, InputError, OutputConflictError, ResourceError
from geoseg.execution import Where
from geoseg.execution.journal import Journal
from geoseg.execution.ledger import Ledger
from geoseg.execution.progress import Progress
from geoseg.execution.resume import Computed, Missing, compute_chunks
from geoseg.geometry import TilePlan, Window, plan_tiles
from geoseg.raster.store import WorkStore

PLAN = plan_tiles(300, 500, tile=64, margin=0, chunk=128, stitch="crop", multiple=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Record of a product that counts: heights only, as 32-bit numbers."""

    digests: dict[str, str]
    highest: int
    tiles: int = 1
    skipped: int = 0
    seconds: float = 0.0
    engine: dict[str, Any] = field(default_factory=lambda: {"name": "counter"})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def count(store: Path, log: Path, fails: frozenset[int], wall: int | None, index: int) -> Counted:
    with log.open("a") as file:
        file.write(f"{index}\n")
    if index == wall:
        raise ResourceError("the disk is full")
    if index in fails:
        raise InputError("damaged block")
    window = PLAN.chunk_at(index).window
    digest = WorkStore.open(store).write("heights", window, np.full((2, *window.shape), index, np.int32))
    return Counted(digests={"heights": digest}, highest=index)


@dataclass(frozen=True, kw_only=True)
class Heights:
    log: Path
    fails: frozenset[int] = frozenset()
    wall: int | None = None

    @property
    def stage(self) -> str:
        return "measure"

    @property
    def tiling(self) -> TilePlan:
        return PLAN

    @property
    def wanted(self) -> range:
        return range(PLAN.chunks)

    @property
    def layers(self) -> Mapping[str, tuple[str, int]]:
        return {"heights": ("int32", 2)}

    def settle(self) -> dict[str, Any]:
        with self.log.with_suffix(".settled").open("a") as file:
            file.write("settled\n")
        return {"by": str(self.log)}

    def task(self, store: Path, settled: Mapping[str, Any]) -> Callable[[int], Counted]:
        return partial(count, store, self.log, self.fails, self.wall)

    def record(self, stored: Mapping[str, Any]) -> Counted:
        return Counted(**stored)

    def blank(self, store: WorkStore, window: Window) -> Counted:
        empty = np.full((2, *window.shape), -1, np.int32)
        return Counted(digests={"heights": store.write("heights", window, empty)}, highest=-1, engine={})

    def runs(self) -> list[int]:
        return sorted(map(int, self.log.read_text().split()))


def compute(
    work: Heights,
    folder: Path,
    *,
    identity: int = 1,
    workers: int = 0,
    allow_missing: bool = False,
    **options: Any,
) -> Computed[Counted]:
    folder.mkdir(exist_ok=True)
    journal, where = Journal(folder / "log.jsonl"), Where(workers=workers, threads=1)
    missing = Missing(allowed=allow_missing, blank=work.blank)
    return compute_chunks(
        work, folder, {"id": identity}, where=where, journal=journal, missing=missing, **options
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_every_chunk_is_computed_once(tmp_path: Path, workers: int) -> None:
    work = Heights(log=tmp_path / "log")
    reports: list[Progress] = []
    made = compute(work, tmp_path / "work", workers=workers, report=reports.append)
    assert sorted(made.records) == work.runs() == list(range(PLAN.chunks))
    assert (reports[-1].done, reports[-1].total, reports[-1].resumed) == (150_000, 150_000, 0)
    assert {r.stage for r in reports} == {"measure"}
    for index, record in made.records.items():
        assert record.highest == index
        assert (made.store.read("heights", PLAN.chunk_at(index).window) == index).all()
    again = compute(work, tmp_path / "work", report=reports.append)
    assert work.runs() == list(range(PLAN.chunks))
    assert again.records == made.records
    assert again.settled == made.settled == {"by": str(work.log)}
    assert work.log.with_suffix(".settled").read_text() == "settled\n"  # once for both
    assert reports[-1].resumed == 150_000


def test_what_failed_and_what_changed_on_the_disk_is_computed_again(tmp_path: Path) -> None:
    work = Heights(log=tmp_path / "log", fails=frozenset({3, 5}))
    with pytest.raises(ChunksFailedError, match=r"2 of 12 chunks failed.*chunk 3.*damaged block"):
        compute(work, tmp_path / "work")
    window = PLAN.chunk_at(7).window
    WorkStore.open(tmp_path / "work" / "store.zarr").write(
        "heights", window, np.zeros((2, *window.shape), np.int32)
    )
    mended = Heights(log=tmp_path / "log2")
    made = compute(mended, tmp_path / "work")
    assert mended.runs() == [3, 5, 7]
    assert not made.failed
    assert sorted(made.records) == list(range(PLAN.chunks))


def test_failed_chunks_are_blank_where_that_is_allowed(tmp_path: Path) -> None:
    made = compute(Heights(log=tmp_path / "log", fails=frozenset({3})), tmp_path / "work", allow_missing=True)
    assert list(made.failed) == [3]
    assert made.records[3].highest == -1
    assert (made.store.read("heights", PLAN.chunk_at(3).window) == -1).all()


def test_a_wall_ends_the_run_at_once_and_keeps_what_is_done(tmp_path: Path) -> None:
    work = Heights(log=tmp_path / "log", wall=4)
    with pytest.raises(ResourceError, match="disk is full"):
        compute(work, tmp_path / "work")
    assert work.runs() == [0, 1, 2, 3, 4]
    rest = Heights(log=tmp_path / "log2")
    compute(rest, tmp_path / "work")
    assert rest.runs() == list(range(4, PLAN.chunks))


def test_another_identity_is_refused(tmp_path: Path) -> None:
    compute(Heights(log=tmp_path / "log"), tmp_path / "work")
    with pytest.raises(OutputConflictError, match="id: 1 -> 2"):
        compute(Heights(log=tmp_path / "log"), tmp_path / "work", identity=2)


def test_a_map_without_any_answer_is_never_allowed(tmp_path: Path) -> None:
    work = Heights(log=tmp_path / "log", fails=frozenset(range(PLAN.chunks)))
    with pytest.raises(ChunksFailedError, match=r"12 of 12 chunks failed, nothing is left") as caught:
        compute(work, tmp_path / "work", allow_missing=True)
    assert "allow_missing" not in str(caught.value)


@pytest.mark.parametrize("harm", ["no database", "torn", "no json", "no record"])
def test_a_damaged_account_is_an_error_in_words_or_computed_again(tmp_path: Path, harm: str) -> None:
    compute(Heights(log=tmp_path / "log"), tmp_path / "work")
    ledger = tmp_path / "work" / "ledger.sqlite"
    work = Heights(log=tmp_path / "log2")
    if harm == "no record":
        with closing(sqlite3.connect(ledger)) as db, db:
            db.execute("UPDATE chunk SET record = '{\"tiles\": 3}' WHERE id = 4")
        assert len(compute(work, tmp_path / "work").records) == 12
        assert work.runs() == [4]
        return
    if harm == "no json":
        with closing(sqlite3.connect(ledger)) as db, db:
            db.execute("UPDATE run SET value = '{{'")
    else:
        content = ledger.read_bytes()
        ledger.write_bytes(b"x" * 9000 if harm == "no database" else content[: len(content) // 2])
    with pytest.raises(OutputConflictError, match=r"account.*damaged"):
        compute(work, tmp_path / "work")


def test_a_killed_process_loses_nothing_of_its_account(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from geoseg.execution.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]), {'id': 1})\n"
        "for i in range(50): ledger.set_done(i, {'n': i})\n"
        "os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "ledger.sqlite"
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    with Ledger(path, {"id": 1}) as ledger:
        assert ledger.done() == {i: {"n": i} for i in range(50)}
