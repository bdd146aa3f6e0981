"""Worker processes of this machine: one chunk at a time in each, watched, started anew, gone with the run.

A process that dies takes nothing along but the chunk it was at. One that falls silent is killed. Closing
never waits for anybody longer than a limit. No process listens anywhere: each has two pipes to its driver,
and a process group of its own, so that Ctrl-C is heard by the driver alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import IO, TYPE_CHECKING, Any

from geoseg.errors import ResourceError
from geoseg.execution.outcome import Outcome, WorkerDiedError
from geoseg.execution.pipe import end_of_pipe, packed
from geoseg.execution.where import Where, visible_gpus
from geoseg.execution.worker import BEAT, Answer

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SILENCE = 60.0
"""Seconds without a beat after which a worker is taken for dead; a beat waits for whoever holds the lock of
the worker's interpreter."""
_STARTS = 5  # times that a worker which is killed while it starts is started again
_PARTING = 5.0  # seconds
_WORDS = 4000  # bytes
_MAIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from geoseg.execution.worker import serve; serve()"
)


@contextmanager
def open_processes(where: Where, task: Callable[[Any], Outcome[Any, Any]]) -> Iterator[tuple[Processes, int]]:
    """Pool that runs `task`, and the number of its workers, for as long as the context lasts.

    Processes start with their first item; one that cannot start is a ResourceError of the first result.
    """
    environments = _environments(where)
    processes = Processes(task, environments)
    try:
        yield processes, len(environments)
    finally:
        processes.close()


def _environments(where: Where) -> list[dict[str, str]]:
    """Environment of each worker."""
    threads = str(where.threads_per_forward)
    shared = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    if where.per_gpu:
        return [{**shared, "CUDA_VISIBLE_DEVICES": gpu} for gpu in visible_gpus()]
    return [shared] * where.workers


class Processes:
    """A `Pool` of worker processes; a thread for each hands on its calls, another watches them all."""

    def __init__(
        self, task: Callable[[Any], Outcome[Any, Any]], environments: Iterable[dict[str, str]]
    ) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Any] | None] = SimpleQueue()
        self._closing = Event()
        self._workers = [_Worker(packed(task), environment) for environment in environments]
        # no thread is waited for when this process ends: a worker ends when its driver does
        self._threads = [Thread(target=self._serve, args=(w,), daemon=True) for w in self._workers]
        for thread in (*self._threads, Thread(target=self._watch, daemon=True)):
            thread.start()

    def submit(self, item: Any) -> Any:
        """Future of the task's outcome on an item."""
        future: Future[Any] = Future()
        self._calls.put((future, item))
        return future

    def wait_any(self, futures: Iterable[Any]) -> set[Any]:
        """Futures that are done; waits for the first."""
        return wait(futures, return_when=FIRST_COMPLETED).done

    def result(self, future: Any) -> Outcome[Any, Any]:
        """Outcome; WorkerDiedError or ResourceError where there is none."""
        return future.result()  # type: ignore[no-any-return]

    def close(self) -> None:
        """End all workers, those at work at once."""
        self._closing.set()
        for worker in self._workers:
            worker.stop()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join(2 * _PARTING)

    def _serve(self, worker: _Worker) -> None:
        while (call := self._calls.get()) is not None:
            future, item = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(worker.call(item))
            except BaseException as error:
                future.set_exception(error)
        worker.close()

    def _watch(self) -> None:
        """Kill whoever is silent for too long; while this process itself stood still, nobody was."""
        seen = time.monotonic()
        while not self._closing.wait(BEAT):
            now = time.monotonic()
            for worker in self._workers:
                if now - seen > 5 * BEAT:
                    worker.heard = now
                elif worker.busy and now - worker.heard > SILENCE:
                    worker.kill()
            seen = now


class _Worker:
    """One process at a time: a new one when the last has died."""

    def __init__(self, task: bytes, environment: dict[str, str]) -> None:
        self._task, self._environment = task, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._calls: Connection[bytes, Any] | None = None
        self._answers: Connection[bytes, Any] | None = None
        self._words: IO[bytes] | None = None
        self.busy = self._stopped = False
        self.heard = time.monotonic()

    def call(self, item: Any) -> Any:
        """What the task gives on an item.

        Raises
        ------
        WorkerDiedError
            The process died at it.
        ResourceError
            No process can be started.
        """
        message = packed(item)
        self.busy = True
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self._ask(message).value
        except _LostError:
            raise WorkerDiedError(self._last_words()) from None
        finally:
            self.busy = False

    def stop(self) -> None:
        """Take no more calls, and drop the one that is being answered."""
        self._stopped = True
        if self.busy:
            self.kill()

    def kill(self) -> None:
        """End the process by force."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Let the process end, or end it when that takes too long."""
        if self._process is None:
            return
        self._hang_up()
        try:
            self._process.wait(_PARTING)
        except subprocess.TimeoutExpired:
            self.kill()
        self._bury()

    def _start(self) -> None:
        for _ in range(_STARTS):
            self._bury()
            if self._stopped:
                raise _LostError
            try:
                self._words = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-c", _MAIN, json.dumps(sys.path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._words,
                    env={**os.environ, **self._environment},
                    process_group=0,
                )
                self._calls, self._answers = _ends(self._process)
            except OSError as error:
                raise _no_start(str(error)) from None
            try:
                fault = self._ask(self._task).fault
            except _LostError:
                if self._process.wait() < 0:  # by a signal: not its own doing
                    continue
                raise _no_start(self._last_words()) from None
            if fault is not None:
                raise _no_start(fault)
            return
        raise _no_start(f"{_STARTS} in a row were killed while they started")

    def _ask(self, message: bytes) -> Answer:
        """The next answer after a message."""
        process, calls, answers = self._process, self._calls, self._answers
        if process is None or calls is None or answers is None:
            raise _LostError
        self.heard = time.monotonic()
        try:
            calls.send_bytes(message)
            while True:
                answer = answers.recv()
                self.heard = time.monotonic()
                if isinstance(answer, Answer):
                    return answer
        except (OSError, EOFError):
            with suppress(subprocess.TimeoutExpired):
                process.wait(BEAT)
            process.kill()  # it may live on behind a pipe that is closed
            raise _LostError from None

    def _last_words(self) -> str:
        """How the process ended, and below it the end of what it wrote to its standard error."""
        if self._process is None or self._words is None:
            return ""
        code = self._process.wait()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"gone with exit code {code}"
        end = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(end - _WORDS, 0))
        return f"{how}\n{self._words.read().decode(errors='replace')}".strip()

    def _hang_up(self) -> None:
        for pipe in (self._calls, self._answers):
            if pipe is not None:
                pipe.close()
        self._calls = self._answers = None

    def _bury(self) -> None:
        """Give back all that an ended process held."""
        self._hang_up()
        if self._process is not None:
            self._process.wait()
        if self._words is not None:
            self._words.close()
        self._process = self._words = None


def _ends(process: subprocess.Popen[bytes]) -> tuple[Connection[bytes, Any], Connection[bytes, Any]]:
    """Pipes of calls to a process and of answers from it."""
    if process.stdin is None or process.stdout is None:
        raise _LostError
    with process.stdin as calls, process.stdout as answers:
        return end_of_pipe(calls.fileno(), writes=True), end_of_pipe(answers.fileno(), writes=False)


class _LostError(Exception):
    """No answer will come."""


def _no_start(said: str) -> ResourceError:
    lines = said.splitlines()
    return ResourceError(
        "a worker process cannot start",
        why=lines[-1].strip()[:300] if lines else "it ended at once and said nothing",
        hint="the cause mended, or no `workers`",
    )
