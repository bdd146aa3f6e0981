"""Worker processes killed, crashed, stopped, unable to start: every chunk comes back, and nothing hangs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from geoseg.errors import ResourceError
from geoseg.execution import Outcome, Where, processes, run_chunks
from tests.execution.tasks import Homeless, crashing, unhurried

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

TWO = Where(workers=2, threads=1)
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20))]


def workers() -> list[psutil.Process]:
    """Worker processes of this one; clusters of other tests may have left a child of their own."""
    return [child for child in psutil.Process().children() if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any("geoseg.execution.worker" in part for part in process.cmdline())
    return False


def send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def whole(outcomes: list[Outcome[int, int]], count: int) -> bool:
    return sorted(o.result() for o in outcomes) == list(range(count)) and not workers()


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_killed_at_work_cost_their_chunk_a_second_run(seed: int) -> None:
    rng = random.Random(seed)
    outcomes = []
    for outcome in run_chunks(unhurried, range(40), TWO):
        outcomes.append(outcome)
        if rng.random() < 0.1 and workers():
            send(rng.choice(workers()), signal.SIGKILL)
    assert whole(outcomes, 40)


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_killed_while_they_start_are_started_again(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    start, kills = subprocess.Popen, 0

    def start_and_kill(*args: object, **options: object) -> object:
        nonlocal kills
        process = start(*args, **options)  # type: ignore[call-overload]
        if kills < 6:
            kills += 1
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
        return process

    monkeypatch.setattr(subprocess, "Popen", start_and_kill)
    assert whole(list(run_chunks(unhurried, range(20), TWO)), 20)
    assert kills == 6


@pytest.mark.parametrize("ordered", [False, True])
def test_chunks_that_kill_their_process_fail_alone(ordered: bool) -> None:
    outcomes = list(run_chunks(crashing, range(100), TWO, ordered=ordered))
    assert {o.item for o in outcomes} == set(range(100))
    assert not ordered or [o.item for o in outcomes] == list(range(100))
    failed = {o.item: o for o in outcomes if o.error is not None}
    assert sorted(failed) == [13, 57, 71]
    for item, how in {13: "killed by SIGSEGV", 57: "gone with exit code 3", 71: "killed by SIGKILL"}.items():
        assert how in str(failed[item].error)
        assert "died on this chunk" in str(failed[item].error)
    assert "crashing" in (failed[13].detail or "")  # where it crashed
    assert not workers()


@pytest.mark.parametrize("ordered", [False, True])
def test_a_worker_that_falls_silent_is_killed_and_its_chunk_run_again(
    ordered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "SILENCE", 4.0)
    outcomes = []
    began = None
    for outcome in run_chunks(unhurried, range(20), TWO, ordered=ordered):
        outcomes.append(outcome)
        if len(outcomes) == 5:
            send(workers()[0], signal.SIGSTOP)
            began = time.monotonic()
    assert began is not None
    assert time.monotonic() - began < 20
    assert whole(outcomes, 20)


def test_a_stopped_worker_does_not_hold_up_the_end() -> None:
    outcomes = run_chunks(unhurried, range(20), TWO)
    next(outcomes)
    for process in workers():
        send(process, signal.SIGSTOP)
    began = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10
    assert not workers()


def started_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    start, count = subprocess.Popen, 0

    def counted(*args: object, **options: object) -> object:
        nonlocal count
        count += 1
        return start(*args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", counted)
    return lambda: count


def test_a_worker_that_cannot_import_its_task_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started = started_of(monkeypatch)
    began = time.monotonic()
    with pytest.raises(ResourceError, match=r"cannot start.*No module named 'no_such_library'"):
        list(run_chunks(Homeless(), range(20), TWO))
    assert time.monotonic() - began < 30
    assert started() <= 4  # at most one more of each
    assert not workers()


@pytest.mark.parametrize(
    ("program", "cause"), [("#!/bin/sh\necho no licence >&2; exit 9", "no licence"), (None, "No such file")]
)
def test_an_interpreter_that_does_not_run_is_told(
    program: str | None, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "python"
    if program:
        path.write_text(program)
        path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    with pytest.raises(ResourceError, match=cause):
        list(run_chunks(unhurried, range(20), TWO))


_SCRIPT = """
import sys
from geoseg.execution import Where, run_chunks
from tests.execution.tasks import endless
try:
    list(run_chunks(endless, range(4), Where(workers=2, threads=1)))
except KeyboardInterrupt:
    sys.exit("stopped")
"""


def driver() -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A process in a group of its own whose two workers are at work."""
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    signal.signal(signal.SIGINT, heard)
    at = psutil.Process(process.pid)
    while len(at.children()) < 2 and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.5)
    return process, at.children()


def test_ctrl_c_to_the_group_is_heard_by_the_driver_alone() -> None:
    process, children = driver()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert err == "stopped\n"
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_workers_end_when_their_driver_is_killed() -> None:
    process, children = driver()
    process.kill()
    process.communicate()
    assert len(children) == 2
    assert psutil.wait_procs(children, timeout=10)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["scheduler", "worker"])
def test_a_scheduler_that_is_killed_is_told_in_words(lost: str, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    local = ["--scheduler-file", str(file), "--no-dashboard"]
    commands = {
        "scheduler": ["distributed.cli.dask_scheduler", *local, "--host", "127.0.0.1", "--port", "0"],
        "worker": ["distributed.cli.dask_worker", *local, "--nthreads", "1", "--no-nanny"],
    }
    running = {
        name: subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.DEVNULL)
        for name, command in commands.items()
    }
    try:
        while not file.exists():
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        time.sleep(5)
        with pytest.raises(ResourceError, match=r"what is done is kept") as raised:
            for outcome in run_chunks(unhurried, range(2000), Where(scheduler=address)):
                if outcome.item == 3:
                    running[lost].kill()
        assert address in str(raised.value)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
