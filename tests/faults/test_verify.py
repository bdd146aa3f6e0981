"""`geoseg verify` on folders whose files were changed, cut, removed, or whose manifest was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.cli.main import main
from geoseg.execution.manifest import MANIFEST, WORK, add_files, write_manifest


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("classes.tif", "classes.gpkg"):
        (folder / name).write_bytes(name.encode() * 100)
    write_manifest(folder, {"run_id": "1"}, ["classes.tif"])
    add_files("vectorize", [folder / "classes.gpkg"])
    return folder


def verify(folder: Path) -> int:
    try:
        main(["verify", str(folder)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_folder_of_runs_is_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("before", "after"):
        made(tmp_path / "demo" / name)
    assert verify(tmp_path / "demo") == 0
    assert capsys.readouterr().out.count("ok   ") == 4
    (tmp_path / "demo" / "third" / WORK).mkdir(parents=True)
    assert verify(tmp_path / "demo") == 3
    assert "third/manifest.json" in capsys.readouterr().err


def test_one_file_is_checked_by_the_manifest_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path / "run")
    file = next(p for p in sorted(folder.iterdir()) if p.name != "manifest.json")
    assert verify(file) == verify(folder / "manifest.json") == 0
    assert capsys.readouterr().out.splitlines()[0] == f"ok   {file.name}"
    file.write_bytes(b"x")
    assert verify(file) == 3
    (folder / "own.txt").write_text("mine")
    (tmp_path / "alone.gpkg").write_text("mine")
    for other in (folder / "own.txt", tmp_path / "alone.gpkg"):
        assert verify(other) == 3
    said = capsys.readouterr().err
    assert "manifest.json beside it does not name it" in said
    assert "there is no manifest.json beside it" in said


@pytest.mark.parametrize("name", ["classes.tif", "classes.gpkg", MANIFEST])
@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-2]),
        lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
        lambda path: path.unlink(),
    ],
    ids=["cut", "flipped", "removed"],
)
def test_harm_is_found_and_said_without_a_traceback(
    tmp_path: Path, name: str, harm: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path / "out")
    harm(folder / name)
    assert verify(folder) == 3
    said = capsys.readouterr().err
    assert name in said
    assert "Try: " in said
    assert "Traceback" not in said


def test_every_flipped_bit_of_a_manifest_is_found(tmp_path: Path) -> None:
    path = made(tmp_path / "out") / MANIFEST
    sound = path.read_bytes()
    for at in range(0, len(sound), 7):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        if path.read_bytes().split() == sound.split():  # white space alone
            continue
        assert verify(path.parent) == 3, at
