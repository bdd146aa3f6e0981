"""One execution of a prediction: chunks into the work store, then publication of both maps."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from geoseg.engines.choice import EngineChoice
from geoseg.engines.probing import Decision
from geoseg.errors import ChunksFailedError, InputError, ResourceError
from geoseg.execution import Where, run_chunks
from geoseg.execution.journal import Journal
from geoseg.execution.ledger import Ledger, differences
from geoseg.execution.manifest import digest_of, sha256_file, write_durably, write_manifest
from geoseg.legend import NODATA
from geoseg.prediction.chunk import (
    CLASSES,
    CONFIDENCE,
    ChunkRecord,
    ChunkRequest,
    EngineRequest,
    predict_chunk,
)
from geoseg.prediction.folder import (
    CLASSES_TIF,
    CONFIDENCE_TIF,
    LEDGER,
    LOG,
    NOVELTY_TIF,
    RUN_YAML,
    STORE,
    STYLE,
    WORK,
    Prediction,
    read_result,
)
from geoseg.prediction.novelty import publish_novelty
from geoseg.prediction.plan import Preparation, settle_engine
from geoseg.prediction.stitch import NO_CONFIDENCE
from geoseg.raster.cog import publish_cog
from geoseg.raster.store import WorkStore
from geoseg.raster.style import raster_qml
from geoseg.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    stage
        ``predict`` or ``publish``.
    done, total
        Pixels.
    tiles, tiles_total
        Forward passes, skipped tiles included.
    resumed
        Pixels that an earlier execution had done.
    failed
        Chunks that failed so far.
    """

    stage: str
    done: int
    total: int
    tiles: int
    tiles_total: int
    resumed: int
    failed: int


Report = Callable[[Progress], None]


_STANDS_ELSEWHERE = {"scene", "model", "aoi", "tile", "margin", "chunk", "stitch"}
_CANNOT_MATTER = {"out", "batch", "allow_vrt", "force"}


def identity_of(preparation: Preparation, where: Where) -> dict[str, Any]:
    """What decides every pixel: another identity is another run. Where it executes is not in it.

    It is all of the job but what cannot matter, so that a new field matters until somebody says otherwise.
    """
    job = preparation.job
    return {
        **job.model_dump(mode="json", exclude=_STANDS_ELSEWHERE | _CANNOT_MATTER),
        "geoseg": __version__,
        "scene": preparation.scene.fingerprint(),
        "models": [f"{b.name} {b.digest}" for b in preparation.ensemble.bundles],
        "tiling": asdict(preparation.tiling),
        "aoi": None if job.aoi is None else sha256_file(job.aoi),
        "threads": where.threads_per_forward,
    }


@dataclass(kw_only=True)
class Run:
    """One execution: chunks, then publication.

    Attributes
    ----------
    identity
        From `identity_of`.
    aoi
        Area of interest in global pixel coordinates; None means everywhere.
    """

    preparation: Preparation
    where: Where
    identity: dict[str, Any]
    aoi: tuple[Any, ...] | None
    progress: Report | None

    @property
    def out(self) -> Path:
        """Output folder."""
        return self.preparation.job.out

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits that name this run; equal for equal identities."""
        return digest_of(self.identity)[:12]

    def execute(self, started: float) -> Prediction:
        """Published prediction; `started` is the clock at the call's begin."""
        out, job = self.out, self.preparation.job
        work = out / WORK
        journal = Journal(out / LOG)
        journal.event("start", run_id=self.run_id, geoseg=__version__, where=asdict(self.where))
        with _disk_errors(out), Ledger(work / LEDGER, self.identity) as ledger:
            run_yaml = yaml.safe_dump(
                {"predict": job.model_dump(mode="json", exclude_none=True)}, sort_keys=False
            )
            write_durably(out / RUN_YAML, run_yaml)
            store = self._open_store(work / STORE, ledger)
            records = self._resume(store, ledger, journal)
            decision = self._decide(ledger, journal)
            self._compute(store, ledger, records, journal, decision.choice)
            failed = ledger.failed()
            if failed and not job.allow_missing:
                raise self._failure(failed)
            for index in failed:
                records[index] = self._blank(store, index)
            manifest = self._publish(store, records, failed, decision, started)
            journal.event("published", seconds=round(time.perf_counter() - started, 3))
        return read_result(out, manifest, started, fresh=True)

    def _decide(self, ledger: Ledger, journal: Journal) -> Decision:
        """The engine of this run: decided at its first execution, kept by every later one."""
        noted = ledger.note("decision")
        if noted is not None:
            return Decision.from_json(noted)
        decision = settle_engine(self.preparation, self.where)
        ledger.set_note("decision", decision.to_json())
        journal.event("engine", **decision.to_json())
        return decision

    def _open_store(self, path: Path, ledger: Ledger) -> WorkStore:
        tiling = self.preparation.tiling
        if path.exists() and ledger.note("store"):
            return WorkStore.open(path)
        shutil.rmtree(path, ignore_errors=True)
        store = WorkStore.create(
            path,
            shape=(tiling.height, tiling.width),
            chunk=tiling.chunk,
            layers={CLASSES: "uint8", CONFIDENCE: "uint8"},
        )
        ledger.set_note("store", True)
        return store

    def _resume(self, store: WorkStore, ledger: Ledger, journal: Journal) -> dict[int, ChunkRecord]:
        """Records of chunks that are done and whose stored bytes still agree with the ledger."""
        records: dict[int, ChunkRecord] = {}
        for index, raw in ledger.done().items():
            record = _record(raw)
            window = self.preparation.tiling.chunk_at(index).window
            try:
                for layer, digest in record.digests.items():
                    store.read_verified(layer, window, digest)
            except InputError as error:
                journal.event("stale", chunk=index, reason=str(error))
                ledger.forget(index)
                continue
            records[index] = record
        if records:
            journal.event("resume", chunks=len(records))
        return records

    def _compute(
        self,
        store: WorkStore,
        ledger: Ledger,
        records: dict[int, ChunkRecord],
        journal: Journal,
        choice: EngineChoice,
    ) -> None:
        tiling, job = self.preparation.tiling, self.preparation.job
        bundles = self.preparation.ensemble.bundles
        request = ChunkRequest(
            scene=self.preparation.scene,
            plan=tiling,
            engine=EngineRequest(
                bundles=tuple(str(b.path.absolute()) for b in bundles),
                digests=tuple(b.digest for b in bundles),
                tta=job.tta,
                choice=choice,
            ),
            store=store.path,
            batch=self.preparation.batch,
            aoi=self.aoi,
        )
        meter = _Meter(self.preparation, records, self.progress)
        meter.show()
        todo = [chunk.index for chunk in tiling.iter_chunks() if chunk.index not in records]
        for outcome in run_chunks(partial(predict_chunk, request), todo, self.where):
            index = outcome.item
            if outcome.error is not None:
                window = tiling.chunk_at(index).window
                ledger.set_failed(index, str(outcome.error))
                journal.event(
                    "failed",
                    chunk=index,
                    window=asdict(window),
                    error=str(outcome.error),
                    detail=outcome.detail,
                )
                if isinstance(outcome.error, ResourceError):
                    raise outcome.error  # the next chunk would meet the same wall
                meter.fail()
                continue
            record = outcome.result()
            self._check_engine(ledger, record)
            ledger.set_done(index, asdict(record))
            records[index] = record
            journal.event("chunk", chunk=index, seconds=record.seconds, tiles=record.tiles)
            meter.advance(index, record)

    def _check_engine(self, ledger: Ledger, record: ChunkRecord) -> None:
        """Every chunk must come from the same engine, or labels could differ from chunk to chunk."""
        if not record.engine:
            return
        known = ledger.note("engine")
        if known is None:
            ledger.set_note("engine", record.engine)
        elif changed := differences(known, record.engine):
            raise ResourceError(
                "workers do not run the same engine",
                why=f"labels could differ between chunks: {'; '.join(changed[:3])}",
                hint="`engine`, `device`, `precision` and `threads` fixed for all workers, or `overwrite`",
            )

    def _failure(self, failed: Mapping[int, str]) -> ChunksFailedError:
        index, error = next(iter(failed.items()))
        window = self.preparation.tiling.chunk_at(index).window
        rows, cols = f"{window.row}-{window.row_end}", f"{window.col}-{window.col_end}"
        return ChunksFailedError(
            f"{len(failed)} of {self.preparation.tiling.chunks} chunks failed, no map was published",
            where=self.out,
            why=f"first: chunk {index} (rows {rows}, columns {cols}): {error}",
            hint="the same command once the cause is mended (what is done is kept), or `allow_missing`",
        )

    def _blank(self, store: WorkStore, index: int) -> ChunkRecord:
        """Record of a failed chunk that is published as nodata on request."""
        window = self.preparation.tiling.chunk_at(index).window
        empty = np.full(window.shape, NODATA, np.uint8)
        digests = {layer: store.write(layer, window, empty) for layer in (CLASSES, CONFIDENCE)}
        return ChunkRecord(
            digests=digests, counts={NODATA: window.area}, tiles=0, skipped=0, seconds=0.0, engine={}
        )

    def _publish(
        self,
        store: WorkStore,
        records: Mapping[int, ChunkRecord],
        failed: Mapping[int, str],
        decision: Decision,
        started: float,
    ) -> dict[str, Any]:
        """Content of the manifest, written after both maps have been re-read against the ledger."""
        scene, ensemble, tiling = self.preparation.scene, self.preparation.ensemble, self.preparation.tiling
        windows = {index: tiling.chunk_at(index).window for index in sorted(records)}
        tags = {
            "GEOSEG_RUN": self.run_id,
            "GEOSEG_MODEL": ", ".join(b.name for b in ensemble.bundles),
            "GEOSEG_MODEL_SHA256": ", ".join(b.digest for b in ensemble.bundles),
            "GEOSEG_TTA": ensemble.tta,
        }
        if failed:
            tags["GEOSEG_MISSING_CHUNKS"] = str(len(failed))
        for layer, name, description in (
            (CLASSES, CLASSES_TIF, f"class by {ensemble.name}"),
            (CONFIDENCE, CONFIDENCE_TIF, "confidence in % (0-100)"),
        ):
            publish_cog(
                self.out / name,
                scene.grid,
                partial(store.read, layer),
                list(windows.values()),
                dtype="uint8",
                nodata=NODATA if layer == CLASSES else NO_CONFIDENCE,
                digests={windows[i]: records[i].digests[layer] for i in windows},
                legend=ensemble.legend if layer == CLASSES else None,
                crs_wkt=scene.crs_wkt,
                tags=tags,
                description=description,
                resampling="mode" if layer == CLASSES else "average",
                overwrite=True,  # the folder is ours: a kill may have left one map of two
            )
        write_durably(self.out / STYLE, raster_qml(ensemble.legend))
        manifest = self._manifest(records, failed, decision, started)
        files = [CLASSES_TIF, CONFIDENCE_TIF, STYLE, RUN_YAML]
        if self.preparation.job.novelty:
            publish_novelty(self.out / NOVELTY_TIF, scene, ensemble.bundles, tags)
            files.append(NOVELTY_TIF)
        write_manifest(self.out, manifest, files)
        return manifest

    def _manifest(
        self,
        records: Mapping[int, ChunkRecord],
        failed: Mapping[int, str],
        decision: Decision,
        started: float,
    ) -> dict[str, Any]:
        ensemble = self.preparation.ensemble
        legend = ensemble.legend
        total: dict[int, int] = {}
        for record in records.values():
            for value, count in record.counts.items():
                total[value] = total.get(value, 0) + count
        pixels = {c.name: total.get(c.id, 0) for c in legend.classes}
        tiling = self.preparation.tiling
        engine = next((r.engine for r in records.values() if r.engine), {})
        return {
            "geoseg": __version__,
            "run_id": self.run_id,
            "identity": self.identity,
            "models": [
                {"name": b.name, "version": b.version, "digest": b.digest, "licence": b.licence}
                for b in ensemble.bundles
            ],
            "tta": ensemble.tta,
            "legend": legend.to_json(),
            "engine": engine,
            "decision": decision.to_json(),
            "tiling": {
                **asdict(tiling),
                "forward_pixels_per_pixel": round(self.preparation.forward_ratio, 4),
            },
            "chunks": {"total": tiling.chunks, "failed": {str(i): e for i, e in failed.items()}},
            "tiles": {
                "run": sum(r.tiles for r in records.values()),
                "skipped": sum(r.skipped for r in records.values()),
            },
            "pixels": {**pixels, "nodata": total.get(NODATA, 0)},
            "notes": [*self.preparation.notes, *([str(decision)] if decision.trials else [])],
            "seconds": round(time.perf_counter() - started, 3),
        }


def _record(raw: Mapping[str, Any]) -> ChunkRecord:
    """Record from the ledger's JSON, whose keys are all text."""
    return ChunkRecord(**{**raw, "counts": {int(k): v for k, v in raw["counts"].items()}})


class _Meter:
    """Turns finished chunks into progress reports."""

    def __init__(
        self, preparation: Preparation, records: Mapping[int, ChunkRecord], report: Report | None
    ) -> None:
        self._plan, self._report = preparation.tiling, report
        self._resumed = sum(self._plan.chunk_at(i).window.area for i in records)
        self._done = self._resumed
        self._tiles = sum(r.tiles + r.skipped for r in records.values())
        self._failed = 0

    def advance(self, index: int, record: ChunkRecord) -> None:
        self._done += self._plan.chunk_at(index).window.area
        self._tiles += record.tiles + record.skipped
        self.show()

    def fail(self) -> None:
        self._failed += 1
        self.show()

    def show(self) -> None:
        if self._report is not None:
            self._report(
                Progress(
                    stage="predict",
                    done=self._done,
                    total=self._plan.height * self._plan.width,
                    tiles=self._tiles,
                    tiles_total=self._plan.forward_tiles,
                    resumed=self._resumed,
                    failed=self._failed,
                )
            )


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Turn a full disk into an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in {28, 122}:  # ENOSPC, EDQUOT
            raise
        raise ResourceError(
            "no space left", where=out, why=str(error), hint="free some, then the same command: it resumes"
        ) from None
