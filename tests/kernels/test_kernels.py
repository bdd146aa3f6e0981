"""Kernels run from the shipped files, give what their Python gives, and fail as it fails."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from geoseg.accuracy.matrix import joint_counts
from geoseg.kernels import kernel
from geoseg.kernels.build import kernels, modules, stale
from geoseg.kernels.types import parse_types
from geoseg.outlines import seams, trace
from geoseg.regions import label
from geoseg.regions.join import unite

MODULES = [module for module in modules() if any(k.takes for k in kernels(module))]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_shipped_files_are_current(module: ModuleType) -> None:
    """`make kernels` renews them."""
    assert stale(module) == []
    assert all(len(k._functions) == len(k.takes) for k in kernels(module))


def test_nothing_is_compiled_and_numba_not_even_imported() -> None:
    code = """
import sys
import numpy as np
from geoseg.regions.label import label_chunk
label_chunk(np.full((4, 4), 1, np.uint8), row=0, col=0, scene_width=2)
assert "numba" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_counts_are_those_of_the_python_function() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, (2, 101)).astype(np.uint8)
    table = np.arange(256).clip(max=3)
    made = joint_counts(first, second, table, table, 4)
    assert np.array_equal(made, joint_counts.function(first, second, table, table, 4))
    assert made.dtype == np.int64


def test_arrays_are_changed_in_place() -> None:
    parent = np.arange(4)
    unite(parent, np.array([0, -1], np.int32), 0, np.array([1, 1], np.int32), 2)
    assert parent.tolist() == [0, 1, 2, 0]


def test_an_array_that_is_given_back_is_the_same() -> None:
    from geoseg.writers.sqlite.pages import _closed

    page = np.zeros(4096, np.uint8)
    assert np.shares_memory(_closed(page, np.array([0, 4096]), 4096), page)


def test_results_outlive_the_call_and_are_freed_with_their_last_array() -> None:
    row_start, start, value = label._runs(np.arange(16, dtype=np.uint8).reshape(4, 4))
    part = start[1:3]
    del start
    for _ in range(50):
        label._runs(np.zeros((64, 64), np.uint8))
    assert (part.tolist(), value.tolist(), row_start.tolist()) == ([1, 0], [5, 6, 9, 10], [0, 2, 4])
    assert part.flags.writeable


def test_an_error_is_raised_with_its_text() -> None:
    # an arc that nothing continues
    points, offsets = np.array([[0, 0], [0, 5]], np.int32), np.array([0, 2])
    with pytest.raises(ValueError, match="a boundary arc has no successor"):
        seams._chain(points, offsets, np.zeros(1, np.int64), np.zeros(1, np.int8), np.zeros(1, np.int8))


@kernel("i8[:]", "f8[:]")
def _doubled(values):  # type: ignore[no-untyped-def]
    out = np.empty_like(values)
    for k in range(values.shape[0]):
        out[k] = 2 * values[k]
    return out


def test_what_has_no_file_is_compiled_by_numba() -> None:
    assert _doubled(np.arange(3)).tolist() == [0, 2, 4]


def test_other_types_and_orders_are_left_to_numba_not_converted() -> None:
    classes = np.asfortranarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    expected = label._runs(np.ascontiguousarray(classes))
    for made, wanted in zip(label._runs(classes), expected, strict=True):
        assert np.array_equal(made, wanted)


def test_a_digest_covers_text_constants_and_callees(monkeypatch: pytest.MonkeyPatch) -> None:
    def digests() -> tuple[str, str]:
        for each in (trace._walk, trace._trace):
            each.__dict__.pop("digest", None)
        return trace._walk.digest, trace._trace.digest

    before = digests()
    with monkeypatch.context() as patch:
        patch.setattr(trace, "_CUT", -3)
        trace._corner.__dict__.pop("digest", None)
        after = digests()
    trace._corner.__dict__.pop("digest", None)
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert digests() == before


def test_types_are_read_and_written_alike() -> None:
    text = "(u1[:,:], i8, (f8, REGION[:]), b1[:],)"
    assert (
        str(parse_types(text, {"REGION": label.REGION}).items[0]) == "(u1[:,:], i8, (f8, REGION[:]), b1[:])"
    )
    with pytest.raises(KeyError):
        parse_types("OTHER[:]", {})


def test_bitcode_that_this_llvm_cannot_read_is_left_to_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    from geoseg.kernels import library

    def unreadable(bitcode: bytes) -> None:
        import llvmlite.binding as llvm

        llvm.parse_bitcode(b"BC\xc0\xde" + bytes(8))

    monkeypatch.setattr(library, "engine_of", unreadable)
    monkeypatch.setattr(sys.modules["geoseg.kernels.kernel"], "_library", library.Library)
    again = kernel(*joint_counts.takes)(joint_counts.function)
    table = np.arange(256).clip(max=3)
    ids = np.array([1, 2, 2], np.uint8)
    assert np.array_equal(again(ids, ids, table, table, 4), np.diag([0, 1, 2, 0]))
    assert "dispatcher" in vars(again)
