"""run_chunks: same outcomes here, in threads, on worker processes and on a running scheduler."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from geoseg.errors import GeosegError, InputError, ResourceError, UsageError
from geoseg.execution import Where, run_chunks
from geoseg.execution.processes import open_processes
from geoseg.execution.where import visible_gpus
from tests.execution.tasks import deadly, environment, picky, square

HERE, PROCESSES = Where(), Where(workers=2, threads=1)


@pytest.mark.parametrize("where", [HERE, PROCESSES], ids=["here", "processes"])
def test_every_item_comes_back_once(where: Where) -> None:
    outcomes = list(run_chunks(square, range(20), where))
    assert sorted(o.item for o in outcomes) == list(range(20))
    assert all(o.result() == o.item**2 for o in outcomes)


@pytest.mark.parametrize("where", [HERE, PROCESSES], ids=["here", "processes"])
def test_errors_are_values_that_name_their_item(where: Where) -> None:
    outcomes = {o.item: o for o in run_chunks(picky, range(8), where)}
    assert len(outcomes) == 8
    assert isinstance(outcomes[3].error, InputError)
    assert str(outcomes[3].error) == "chunk 3: unlucky. found 3. Try: 4."
    assert type(outcomes[5].error) is GeosegError
    assert "ZeroDivisionError" in str(outcomes[5].error)
    assert "picky" in (outcomes[5].detail or "")
    with pytest.raises(InputError):
        outcomes[3].result()
    assert sorted(i for i, o in outcomes.items() if o.error is None) == [0, 1, 2, 4, 6, 7]


def test_a_chunk_that_kills_its_workers_is_the_only_one_that_fails() -> None:
    outcomes = {o.item: o for o in run_chunks(deadly, range(6), PROCESSES)}
    assert sorted(outcomes) == list(range(6))
    assert [i for i, o in outcomes.items() if o.error is not None] == [2]
    assert "died on this chunk" in str(outcomes[2].error)


def test_threads_keep_the_order_when_asked() -> None:
    def slow_first(x: int) -> int:
        time.sleep(0.05 if x == 0 else 0.0)
        return x

    outcomes = list(run_chunks(slow_first, range(10), concurrency=4, ordered=True))
    assert [o.item for o in outcomes] == list(range(10))


def test_items_are_drawn_no_faster_than_they_are_used() -> None:
    drawn = 0
    lock = threading.Lock()

    def items() -> Iterator[int]:
        nonlocal drawn
        for i in range(100):
            with lock:
                drawn += 1
            yield i

    outcomes = run_chunks(square, items(), concurrency=2, in_flight=3)
    for used, _ in enumerate(outcomes, start=1):
        with lock:
            assert drawn <= used + 3


def test_one_process_per_visible_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    seen = {o.result() for o in run_chunks(environment, range(30), Where(per_gpu=True, threads=3))}
    assert {(gpu, threads) for _, gpu, threads in seen} == {("4", "3"), ("7", "3")}
    assert len({pid for pid, _, _ in seen}) == 2


def test_processes_listen_nowhere_and_end_with_the_run() -> None:
    import psutil

    before = set(psutil.Process().children(recursive=True))  # other tests may have left some
    with open_processes(PROCESSES, square) as (pool, workers):
        futures = [pool.submit(i) for i in range(4)]
        assert [f.result() for f in futures] == [0, 1, 4, 9]
        started = set(psutil.Process().children(recursive=True)) - before
        assert workers == len(started) == 2
        assert not [c for p in started for c in p.net_connections("inet")]
    assert set(psutil.Process().children(recursive=True)) <= before


def test_no_gpu_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(ResourceError, match="`workers=N`"):
        visible_gpus()


def test_a_running_scheduler_is_used() -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    ) as cluster:
        outcomes = list(run_chunks(square, range(5), Where(scheduler=cluster.scheduler_address)))
    assert sorted(o.result() for o in outcomes) == [0, 1, 4, 9, 16]


def test_a_scheduler_that_is_not_there_is_named() -> None:
    with pytest.raises(ResourceError, match=r"tcp://127\.0\.0\.1:9"):
        list(run_chunks(square, [1], Where(scheduler="tcp://127.0.0.1:9")))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("many", None, None), "neither a number"),
        (("2", "tcp://x:1", None), "exclude"),
        (("-1", None, None), "negative"),
    ],
)
def test_wrong_words_are_refused(words: tuple[str, str | None, int | None], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Where.parse(*words)
