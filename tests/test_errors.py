"""Errors: their one line of text, and the way back from a worker process."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg import errors
from geoseg.errors import GeosegError, InputError

KINDS = [GeosegError, *GeosegError.__subclasses__()]


def test_the_four_parts_make_one_line() -> None:
    error = InputError(
        "no coordinate reference system",
        where="scene.tif",
        why="found none, expected one",
        hint="--assume-crs EPSG:32633",
    )
    assert str(error) == (
        "scene.tif: no coordinate reference system. found none, expected one. Try: --assume-crs EPSG:32633."
    )


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (GeosegError("broken"), "broken."),
        (GeosegError("broken."), "broken."),
        (GeosegError("broken", where="a.tif"), "a.tif: broken."),
        (GeosegError("broken", why="axes swapped?"), "broken. axes swapped?"),
        (GeosegError("broken", hint="again"), "broken. Try: again."),
        (GeosegError("broken", where=0, why="", hint=""), "0: broken."),
    ],
)
def test_missing_parts_leave_no_trace(error: GeosegError, text: str) -> None:
    assert str(error) == text


maybe = st.none() | st.text(max_size=20)


@given(st.sampled_from(KINDS), st.text(max_size=20), maybe | st.integers(), maybe, maybe)
def test_an_error_survives_pickling(
    kind: type[GeosegError], what: str, where: object, why: str | None, hint: str | None
) -> None:
    error = kind(what, where=where, why=why, hint=hint)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.what, back.where, back.why, back.hint) == (what, where, why, hint)
    assert str(back) == str(error)
    assert back.exit_code == error.exit_code


def test_exit_codes_are_those_of_the_manual() -> None:
    assert {k.__name__: k.exit_code for k in KINDS} == {
        "GeosegError": 1,
        "UsageError": 2,
        "InputError": 3,
        "ChunksFailedError": 4,
        "ResourceError": 5,
        "OutputConflictError": 6,
    }
    assert all(k.__module__ == errors.__name__ for k in KINDS)
