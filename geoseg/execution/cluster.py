"""Somebody else's Dask scheduler: how chunks reach machines that are not this one."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

import dask
from distributed import Client

from geoseg.errors import ResourceError
from geoseg.execution.outcome import Outcome, WorkerDiedError
from geoseg.version import __version__

_CONFIG = {
    "distributed.admin.large-graph-warning-threshold": "100MB",
    "distributed.comm.timeouts.connect": "30s",
    "distributed.comm.retry.count": 3,
}
_LOOK = 10.0  # seconds between two looks whether anybody is there
_DESERTED = 60.0  # seconds without any worker after which nobody is waited for
_DIED = ("KilledWorker", "NoWorkerError")


class Scheduler:
    """A Dask client as a `Pool`."""

    def __init__(self, client: Client, address: str, task: Callable[[Any], Outcome[Any, Any]]) -> None:
        self._client, self._address, self._task = client, address, task
        self._heard: SimpleQueue[Any] = SimpleQueue()
        self._done: set[Any] = set()

    def submit(self, item: Any) -> Any:
        """Future of one call; never answered from Dask's cache, since tasks write files."""
        try:
            future = self._client.submit(self._task, item, pure=False)
            # to be told costs the same for any number in flight; to ask all of them grows with it
            future.add_done_callback(self._heard.put)
        except Exception as error:
            raise self._lost(error) from None
        return future

    def wait_any(self, futures: Iterable[Any]) -> set[Any]:
        """Futures that are done; ResourceError where the scheduler is lost or has no workers any more."""
        wanted = set(futures)
        deserted_at = time.monotonic() + _DESERTED
        while True:
            while self._hear(0):
                pass
            if done := wanted & self._done:
                return done
            if self._hear(_LOOK) or self._workers():
                deserted_at = time.monotonic() + _DESERTED
            elif time.monotonic() > deserted_at:
                raise ResourceError(
                    "scheduler has no workers any more",
                    where=self._address,
                    hint="workers started again, then the same call: what is done is kept",
                )

    def _hear(self, seconds: float) -> bool:
        """Whether a future was done within so long; it is kept in mind until its result is taken."""
        try:
            self._done.add(self._heard.get(timeout=seconds) if seconds else self._heard.get_nowait())
        except Empty:
            return False
        return True

    def result(self, future: Any) -> Outcome[Any, Any]:
        """Outcome; WorkerDiedError where workers died of it."""
        self._done.discard(future)
        try:
            return future.result()  # type: ignore[no-any-return]
        except Exception as error:
            if type(error).__name__ in _DIED:
                raise WorkerDiedError from None
            if future.status in {"cancelled", "lost"}:
                raise self._lost(error) from None
            raise

    def _workers(self) -> int:
        try:
            return len(self._client.scheduler_info()["workers"])
        except Exception as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> ResourceError:
        return ResourceError(
            "scheduler was lost during the run",
            where=self._address,
            why=" ".join(str(error).split())[:200] or type(error).__name__,
            hint="the same call when it runs again: what is done is kept",
        )


@contextmanager
def open_scheduler(address: str, task: Callable[[Any], Outcome[Any, Any]]) -> Iterator[tuple[Scheduler, int]]:
    """Pool that runs `task` on the scheduler's workers, and their number.

    Raises
    ------
    ResourceError
        The scheduler does not answer, has no workers, or its workers run another geoseg.
    """
    with dask.config.set(_CONFIG), _hushed():
        try:
            client = Client(address, timeout=10)
        except (OSError, TimeoutError, ValueError) as error:
            raise ResourceError(
                "scheduler does not answer",
                where=address,
                why=" ".join(str(error).split())[:200],
                hint="check the address that `dask scheduler` printed, like tcp://host:8786",
            ) from None
        try:
            yield Scheduler(client, address, task), _equal_workers(client, address)
        finally:
            with suppress(Exception):  # of a scheduler that is gone there is nothing to close
                client.close(timeout=_LOOK)


def _equal_workers(client: Client, address: str) -> int:
    versions = client.run(_worker_version)
    if not versions:
        raise ResourceError(
            "scheduler has no workers", where=address, hint=f"dask worker {address} --nthreads 1"
        )
    for worker, version in versions.items():
        if version != __version__:
            raise ResourceError(
                "worker runs another geoseg", where=worker, why=f"found {version}, expected {__version__}"
            )
    return len(versions)


def _worker_version() -> str:
    """Version of geoseg on the worker that runs this, and one thread pool per core for nobody else."""
    os.environ.setdefault("GDAL_NUM_THREADS", "1")
    return __version__


@contextmanager
def _hushed() -> Iterator[None]:
    """Dask's own log is silent: what matters of it is an error in words."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
