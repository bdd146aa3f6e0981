"""Machine code is kept once and taken again; what is not whole, or not this user's alone, is not run."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from geoseg.kernels.machine_code import engine_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "geoseg" / "kernels"


def bitcode(number: int) -> bytes:
    code: bytes = llvm.parse_assembly(f"define i32 @answer() {{ ret i32 {number} }}").as_bitcode()
    return code


def answer(number: int) -> int:
    engine = engine_of(bitcode(number))
    result: int = ctypes.CFUNCTYPE(ctypes.c_int32)(engine.get_function_address("answer"))()
    return result


@pytest.fixture
def swapped(cache: Path) -> Path:
    """What is kept of the function that answers 1, with the machine code of one that answers 2 in it."""
    assert answer(1) == 1
    (kept,) = cache.iterdir()
    assert answer(2) == 2
    (other,) = set(cache.iterdir()) - {kept}
    kept.write_bytes(other.read_bytes())
    return kept


def test_what_is_kept_is_taken(swapped: Path) -> None:
    assert answer(1) == 2


def test_what_was_cut_off_or_changed_is_translated_again(swapped: Path) -> None:
    whole = swapped.read_bytes()
    for damaged in (whole[:-1], whole[:8], b"", whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
        swapped.write_bytes(damaged)
        assert answer(1) == 1


@pytest.mark.skipif(os.name != "posix", reason="no modes of files")
def test_what_others_can_write_is_not_run(swapped: Path) -> None:
    assert swapped.stat().st_mode & 0o777 == 0o600
    swapped.chmod(0o620)
    assert answer(1) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_what_another_user_wrote_is_not_run(swapped: Path) -> None:
    os.chown(swapped, 65534, -1)
    assert answer(1) == 1


def test_without_a_cache_that_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "geoseg").write_text("a file where the folder would be")
    assert answer(1) == answer(1) == 1

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert answer(1) == 1
