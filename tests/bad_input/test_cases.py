"""Every mistake of `cases`: exit code, a line that names it, nothing written; and the page of them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_input.case import Case, sound
from tests.bad_input.cases import cases
from tests.bad_input.make import PAGE, answer, row

CASES = list(cases())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base").resolve()
    sound(folder)
    return folder


def files(folder: Path) -> dict[Path, bytes]:
    """Content of all files but a run's log and account."""
    found = (p for p in folder.rglob("*") if p.is_file() and ".work" not in p.parts and p.name != "log.jsonl")
    return {p: p.read_bytes() for p in found}


@pytest.mark.parametrize("case", CASES, ids=[c.what for c in CASES])
def test_a_mistake_is_answered_in_one_line(
    case: Case, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path.resolve()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BAD_INPUT_BASE", str(base))
    case.make()
    before = files(folder)
    code, said = answer(case, base, folder)
    assert (code, [word for word in case.says if word.casefold() not in said.casefold()]) == (
        case.code,
        [],
    ), said
    assert "Traceback" not in said and len(said.rstrip().splitlines()) <= 5, said
    assert files(folder) == before, "something was written"
    shown = row(case, code, said).encode(errors="backslashreplace").decode()
    assert shown in PAGE.read_text(encoding="utf-8").splitlines(), "python -m tests.bad_input.make writes it"


def test_there_are_sixty_and_no_two_alike() -> None:
    assert len({c.what for c in CASES}) == len(CASES) >= 60
