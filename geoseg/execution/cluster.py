"""Dask clusters: N local processes, one per GPU, or somebody else's scheduler. Loopback only by default."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster
from distributed import wait as wait_futures

from geoseg.errors import ResourceError
from geoseg.execution.where import Where, visible_gpus
from geoseg.version import __version__

_CONFIG = {
    "distributed.scheduler.allowed-failures": 1,  # a chunk that kills two workers is the chunk's fault
    "distributed.scheduler.no-workers-timeout": "60s",
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.admin.large-graph-warning-threshold": "100MB",
    "distributed.worker.memory.terminate": False,  # the plan is checked against the memory beforehand
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
}

# On this machine a worker that does not answer is dead: fetching its record is given up at once and the chunk
# runs again. On a cluster it may be the network, which deserves patience.
_NEAR = {"distributed.comm.timeouts.connect": "10s", "distributed.comm.retry.count": 0}
_FAR = {"distributed.comm.timeouts.connect": "30s", "distributed.comm.retry.count": 3}

# Dask's own default listens on every interface, at a port that a second run would find taken
_LOOPBACK = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}


class ChunkClient:
    """A Dask client narrowed to what `run_chunks` needs."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit_one(self, function: Callable[..., Any], *args: Any) -> Any:
        """Future of one call; never answered from Dask's cache, since tasks write files."""
        return self._client.submit(function, *args, pure=False)

    def wait_any(self, futures: Iterable[Any]) -> set[Any]:
        """Futures that are finished; waits for the first."""
        return set(wait_futures(list(futures), return_when="FIRST_COMPLETED").done)


@contextmanager
def open_client(where: Where) -> Iterator[tuple[ChunkClient, int]]:
    """Client and number of workers for as long as the context lasts.

    Raises
    ------
    ResourceError
        The scheduler does not answer, has no workers, or its workers run another geoseg.
    """
    with dask.config.set({**_CONFIG, **(_FAR if where.scheduler else _NEAR)}):
        if where.scheduler:
            with _existing(where.scheduler) as opened:
                yield opened
            return
        environments = _environments(where)
        with (
            SpecCluster(
                workers={i: _worker(env) for i, env in enumerate(environments)},
                scheduler={"cls": Scheduler, "options": {"port": 0, **_LOOPBACK}},
                silence_logs=50,
            ) as cluster,
            Client(cluster, timeout=300) as client,
        ):
            client.wait_for_workers(len(environments), timeout=300)
            yield ChunkClient(client), len(environments)


def _environments(where: Where) -> list[dict[str, str]]:
    """Environment of each local worker; Dask itself would preset one thread for OpenMP and MKL."""
    threads = str(where.threads_per_forward)
    shared = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    if where.per_gpu:
        return [{**shared, "CUDA_VISIBLE_DEVICES": gpu} for gpu in visible_gpus()]
    return [dict(shared) for _ in range(where.workers)]


def _worker(environment: dict[str, str]) -> dict[str, Any]:
    return {
        "cls": Nanny,
        "options": {
            **_LOOPBACK,
            "nthreads": 1,
            "memory_limit": 0,
            "env": environment,
            "silence_logs": 50,
        },
    }


@contextmanager
def _existing(address: str) -> Iterator[tuple[ChunkClient, int]]:
    try:
        client = Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise ResourceError(
            "scheduler does not answer",
            where=address,
            why=" ".join(str(error).split())[:200],
            hint="check the address that `dask scheduler` printed, like tcp://host:8786",
        ) from None
    with client:
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
        yield ChunkClient(client), len(versions)


def _worker_version() -> str:
    """Version of geoseg on the worker that runs this, and one thread pool per core for nobody else."""
    os.environ.setdefault("GDAL_NUM_THREADS", "1")
    return __version__
