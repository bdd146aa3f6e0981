"""What a worker opens for itself."""

from __future__ import annotations

import pickle

import numpy as np

from geoseg.execution.opened import Opened

calls: list[int] = []


def zeros(size: int) -> np.ndarray:
    calls.append(size)
    return np.zeros(size)


def test_it_travels_as_a_call_and_is_opened_once() -> None:
    calls.clear()
    opened = Opened(zeros(10**6), zeros, 10**6)
    sent = pickle.dumps(opened)
    assert len(sent) < 1000
    first, second = pickle.loads(sent), pickle.loads(sent)
    assert first.value is second.value
    assert calls == [10**6, 10**6]  # here, and once for both arrivals
    np.testing.assert_array_equal(first.value, opened.value)


def test_another_run_opens_anew() -> None:
    calls.clear()
    for _ in range(2):
        pickle.loads(pickle.dumps(Opened(np.zeros(3), zeros, 3)))
    assert calls == [3, 3]
