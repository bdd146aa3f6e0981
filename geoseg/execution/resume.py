"""Work over chunks that may be killed at any moment and goes on where it was.

What every chunk gets done to it is somebody else's matter (`ChunkWork`); here are the account of what is
done, the check that what is stored is still what was computed, the order to go on, and what happens to chunks
that fail.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from geoseg.errors import ChunksFailedError, InputError, ResourceError
from geoseg.execution.journal import Journal
from geoseg.execution.ledger import Ledger, differences
from geoseg.execution.progress import TALLY, Meter, Report
from geoseg.execution.run import run_chunks
from geoseg.execution.where import Where
from geoseg.geometry import TilePlan, Window
from geoseg.raster.store import Layer, WorkStore

LEDGER, STORE = "ledger.sqlite", "store.zarr"


class Record(Protocol):
    """What is known of a finished chunk; small, since it is all that travels back."""

    @property
    def digests(self) -> Mapping[str, str]:
        """Digest of each layer as stored."""
        ...

    @property
    def tiles(self) -> int:
        """Tiles given to the engine."""
        ...

    @property
    def skipped(self) -> int:
        """Tiles that had nothing to answer for."""
        ...

    @property
    def seconds(self) -> float:
        """Wall time on the worker."""
        ...

    @property
    def engine(self) -> Mapping[str, Any]:
        """Identity of the engine that ran; empty where none was needed."""
        ...

    def to_json(self) -> dict[str, Any]:
        """What the ledger stores."""
        ...


R = TypeVar("R", bound=Record)
R_co = TypeVar("R_co", bound=Record, covariant=True)


class ChunkWork(Protocol[R_co]):
    """What is done to every chunk of a scene."""

    @property
    def stage(self) -> str:
        """The verb, for progress."""
        ...

    @property
    def tiling(self) -> TilePlan:
        """The chunks."""
        ...

    @property
    def wanted(self) -> Sequence[int]:
        """Indices of the chunks to compute."""
        ...

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Layers of the work store: name to dtype, or to (dtype, depth)."""
        ...

    def settle(self) -> dict[str, Any]:
        """What is decided once for a run, JSON-ready: at its first execution, and kept by every later one."""
        ...

    def task(self, store: Path, settled: Mapping[str, Any]) -> Callable[[int], R_co]:
        """Picklable function of a chunk's index: writes its layers into the store, returns its record."""
        ...

    def record(self, stored: Mapping[str, Any]) -> R_co:
        """Record from what its `to_json` gave, after a round trip through JSON."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(Generic[R]):
    """What becomes of chunks that fail, where the answer may have holes.

    Attributes
    ----------
    allowed
        Go on without them, unless nothing is left then.
    blank
        Record of such a chunk, after layers without any answer were written for it.
    """

    allowed: bool
    blank: Callable[[WorkStore, Window], R]


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Generic[R]):
    """All chunks of a run.

    Attributes
    ----------
    store
        Their layers.
    records
        By index, those of failed chunks included.
    failed
        Error texts of the chunks that failed and are blank.
    settled
        What was decided for the run.
    """

    store: WorkStore
    records: Mapping[int, R]
    failed: Mapping[int, str]
    settled: Mapping[str, Any]


def compute_chunks(
    work: ChunkWork[R],
    folder: Path,
    identity: Mapping[str, Any],
    *,
    where: Where,
    journal: Journal,
    report: Report | None = None,
    missing: Missing[R] | None = None,
) -> Computed[R]:
    """Every chunk computed, now or by an earlier call with the same identity.

    Parameters
    ----------
    folder
        Holds the ledger and the work store; best claimed by the caller (`geoseg.execution.claim`).
    missing
        What becomes of chunks that fail; None where no answer may have holes.

    Raises
    ------
    OutputConflictError
        The folder holds a run of another identity.
    ChunksFailedError
        Some chunks failed; what is done is kept.
    ResourceError
        The disk is full, or workers run different engines.
    """
    with Ledger(folder / LEDGER, identity) as ledger:
        store = _open_store(work, folder / STORE, ledger)
        records = _still_good(work, store, ledger, journal)
        settled = _settled(work, ledger, journal)
        task = work.task(store.path, settled)
        (folder / TALLY).unlink(missing_ok=True)
        meter = Meter(work.stage, work.tiling, report, folder / TALLY, work.wanted)
        with meter.watching():
            _compute(work, task, ledger, records, where=where, journal=journal, meter=meter)
        failed = ledger.failed()
    something = any(record.tiles for record in records.values())
    if failed and not (missing and missing.allowed and something):
        raise _failure(work.tiling, failed, folder.parent, missing)
    if missing:
        records |= {i: missing.blank(store, work.tiling.chunk_at(i).window) for i in failed}
    return Computed(store=store, records=records, failed=failed, settled=settled)


def _open_store(work: ChunkWork[R], path: Path, ledger: Ledger) -> WorkStore:
    tiling = work.tiling
    if path.exists() and ledger.note("store"):
        return WorkStore.open(path)
    shutil.rmtree(path, ignore_errors=True)
    shape = (tiling.height, tiling.width)
    store = WorkStore.create(path, shape=shape, chunk=tiling.chunk, layers=work.layers)
    ledger.set_note("store", True)
    return store


def _still_good(work: ChunkWork[R], store: WorkStore, ledger: Ledger, journal: Journal) -> dict[int, R]:
    """Records of chunks that are done and whose stored bytes still agree with the ledger."""
    records: dict[int, R] = {}
    for index, stored in ledger.done().items():
        try:
            record = work.record(stored)
            window = work.tiling.chunk_at(index).window
            for layer, digest in record.digests.items():
                store.read_verified(layer, window, digest)
        except (InputError, LookupError, TypeError, ValueError, AttributeError) as error:
            journal.event("stale", chunk=index, reason=str(error))
            ledger.forget(index)
            continue
        records[index] = record
    if records:
        journal.event("resume", chunks=len(records))
    return records


def _settled(work: ChunkWork[R], ledger: Ledger, journal: Journal) -> Mapping[str, Any]:
    noted: dict[str, Any] | None = ledger.note("settled")
    if noted is not None:
        return noted
    settled = work.settle()
    ledger.set_note("settled", settled)
    journal.event("settled", **settled)
    return settled


def _compute(
    work: ChunkWork[R],
    task: Callable[[int], R],
    ledger: Ledger,
    records: dict[int, R],
    *,
    where: Where,
    journal: Journal,
    meter: Meter,
) -> None:
    """Fill in the records of all other chunks, and the ledger with them."""
    meter.resume((index, r.tiles + r.skipped) for index, r in records.items())
    todo = [index for index in work.wanted if index not in records]
    for outcome in run_chunks(task, todo, where):
        index = outcome.item
        if outcome.error is not None:
            said = {"error": str(outcome.error), "detail": outcome.detail}
            ledger.set_failed(index, said["error"] or "")
            journal.event("failed", chunk=index, window=asdict(work.tiling.chunk_at(index).window), **said)
            if isinstance(outcome.error, ResourceError):
                raise outcome.error  # the next chunk would meet the same wall
            meter.fail()
            continue
        record = outcome.result()
        _check_engine(ledger, record)
        ledger.set_done(index, record.to_json())
        records[index] = record
        journal.event("chunk", chunk=index, seconds=record.seconds, tiles=record.tiles)
        meter.advance(index, record.tiles, record.skipped)


def _check_engine(ledger: Ledger, record: Record) -> None:
    """Every chunk must come from the same engine, or answers could differ from chunk to chunk."""
    if not record.engine:
        return
    known = ledger.note("engine")
    if known is None:
        ledger.set_note("engine", dict(record.engine))
    elif changed := differences(known, record.engine):
        raise ResourceError(
            "workers do not run the same engine",
            why=f"labels could differ between chunks: {'; '.join(changed[:3])}",
            hint="`engine`, `device`, `precision` and `threads` fixed for all workers, or `overwrite`",
        )


def _failure(
    tiling: TilePlan, failed: Mapping[int, str], out: Path, missing: Missing[Any] | None
) -> ChunksFailedError:
    index, error = next(iter(failed.items()))
    window = tiling.chunk_at(index).window
    rows, cols = f"{window.row}-{window.row_end}", f"{window.col}-{window.col_end}"
    allowed = missing is not None and missing.allowed
    otherwise = ", or `allow_missing`" if missing is not None and not allowed else ""
    return ChunksFailedError(
        f"{len(failed)} of {tiling.chunks} chunks failed{', nothing is left' if allowed else ''}, "
        "no map was published",
        where=out,
        why=f"first: chunk {index} (rows {rows}, columns {cols}): {error}",
        hint=f"the same command once the cause is mended (what is done is kept){otherwise}",
    )
