"""The page on bad inputs, written anew: ``python -m tests.bad_input.make``."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

from geoseg.cli.main import main
from tests.bad_input.case import Case, sound
from tests.bad_input.cases import cases

PAGE = Path(__file__).parents[2] / "docs" / "bad_inputs.md"
HEAD = """# What geoseg says to a mistake

Each row is a test (`tests/bad_input`), which also writes this page: the exit code (2 usage or configuration,
3 input, 4 chunks failed, 5 resources, 6 output conflict), and the answer, before anything is written.

| mistake | exit | answer |
|---|---|---|
"""


def answer(case: Case, base: Path, folder: Path) -> tuple[int, str]:
    """Exit code of a case's command in a folder, and what is said, without the names of the folders."""
    command = case.command.replace("MODEL", str(base / "made")).replace("BASE", str(base))
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            main(shlex.split(command))
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, said.getvalue().replace(f"{folder}/", "").replace(f"{base}/", "")


def row(case: Case, code: int, said: str) -> str:
    """The page's row of a case: the last line of the answer, which is the error."""
    last = said.rstrip().splitlines()[-1] if said.strip() else ""
    last = re.sub(r"\b[0-9a-f]{64}\b|(?<=known are )nodata, .*?(?=\. Try)", "…", last)
    cell = last.removeprefix("geoseg: ").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return f"| {case.what} | {code} | {cell} |"


def write_page() -> None:
    """Run every case and write the page."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve() / "base"
        base.mkdir()
        sound(base)
        os.environ["BAD_INPUT_BASE"] = str(base)
        for number, case in enumerate(cases()):
            folder = base.parent / str(number)
            folder.mkdir()
            os.chdir(folder)
            case.make()
            rows.append(row(case, *answer(case, base, folder)))
            print(rows[-1], file=sys.stderr, flush=True)
    PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    write_page()
