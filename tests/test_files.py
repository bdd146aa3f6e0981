"""Whole or not at all: no name before the end, nothing of others touched, faults in words."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from geoseg import files
from geoseg.errors import GeosegError, OutputConflictError, ResourceError, UsageError
from geoseg.files import require_free, require_new_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from geoseg import files
target, moment = Path(sys.argv[1]), sys.argv[2]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if moment == "before":
    files.flush = die
elif moment == "between":
    Path.replace = die
with files.whole(target) as partial:
    if target.suffix:
        partial.write_text("new")
    else:
        partial.mkdir()
        (partial / "inside").write_text("new")
    if moment == "writing":
        die()
"""


def killed(target: Path, moment: str) -> None:
    run = subprocess.run([sys.executable, "-c", KILLED, str(target), moment], check=False, timeout=60)
    assert run.returncode == -9


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_at_the_end_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "a.txt"
    with files.whole(target) as partial:
        partial.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["a.txt"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.whole(target) as partial:
        partial.write_text("new")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("moment", ["writing", "before"])
@pytest.mark.parametrize("name", ["a.txt", "folder"])
def test_killed_it_leaves_the_old_and_the_next_one_tidies(tmp_path: Path, name: str, moment: str) -> None:
    target = tmp_path / name
    with files.whole(target) as partial:
        if target.suffix:
            partial.write_text("old")
        else:
            partial.mkdir()
            (partial / "inside").write_text("old")
    killed(target, moment)
    held = target if target.is_file() else target / "inside"
    assert held.read_text() == "old"
    assert len(names(tmp_path)) == 2
    files.remove_left(target)
    assert names(tmp_path) == [name]
    assert held.read_text() == "old"


def test_a_folder_moved_aside_by_a_killed_writer_comes_back(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "inside").write_text("old")
    killed(target, "between")
    assert not target.exists()
    files.remove_left(target)
    assert (target / "inside").read_text() == "old"
    assert names(tmp_path) == ["folder"]


def test_only_what_is_ours_is_removed(tmp_path: Path) -> None:
    """Hidden files of other programs, partial folders of other targets and of writers that live stay."""
    target = tmp_path / "a.tif"
    (tmp_path / ".a.tif.partial").write_text("another program's")
    (tmp_path / ".a.tif.0123456789ab.partial").mkdir()  # no lock: nobody knows whose
    killed(tmp_path / "b.txt", "writing")
    with files.partial_folder(target) as alive:
        before = names(tmp_path)
        files.remove_left(target)
        assert names(tmp_path) == before
        assert alive.is_dir()
    assert len(names(tmp_path)) == 3


def _write(target: Path, letter: str) -> None:
    for _ in range(20):
        files.write_durably(target, letter * 100_000)


def test_two_writers_of_one_name_do_not_mix(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(target, letter)) for letter in "xy"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if target.exists():
            text = target.read_text()
            assert len(text) == 100_000 and len(set(text)) == 1
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert names(tmp_path) == ["a.txt"]


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda f: (steps.append("flush"), sync(f)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (steps.append(f"name {b.name}"), replace(a, b)))
    with files.partial_folder(tmp_path / "b.shp") as folder:
        for name in ("a.dbf", "b.shp"):
            (folder / name).write_text(name)
        files.commit([(folder / name, tmp_path / name) for name in ("a.dbf", "b.shp")])
    assert steps == ["flush", "flush", "name a.dbf", "name b.shp", "flush"]


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, ResourceError, 5),
        (errno.EDQUOT, ResourceError, 5),
        (errno.EIO, ResourceError, 5),
        (errno.EROFS, OutputConflictError, 6),
        (errno.EACCES, OutputConflictError, 6),
        (errno.ENOTDIR, OutputConflictError, 6),
    ],
)
def test_disk_errors_in_words(tmp_path: Path, number: int, kind: type[GeosegError], code: int) -> None:
    target = tmp_path / "not" / "there" / "a.txt"
    with pytest.raises(kind, match=os.strerror(number)) as caught, files.writing(target):
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == code
    assert str(target) in str(caught.value)
    if kind is ResourceError:
        assert "MiB free" in str(caught.value)


def test_what_is_taken_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    files.require_free(target, overwrite=False)
    target.write_text(json.dumps({"geoseg": "1", "confusion": []}))
    files.require_free(target, overwrite=False, marks={"geoseg", "confusion"})
    with pytest.raises(OutputConflictError, match="exists"):
        files.require_free(target, overwrite=False)
    with pytest.raises(OutputConflictError, match="no earlier result"):
        files.require_free(target, overwrite=False, marks={"geoseg", "transitions"})
    files.require_free(target, overwrite=True)
    with pytest.raises(OutputConflictError, match="one of the inputs"):
        files.require_free(target, overwrite=True, inputs=[tmp_path / "." / "scores.json"])
    with pytest.raises(OutputConflictError, match="is a folder"):
        files.require_free(tmp_path, overwrite=True)
    with pytest.raises(OutputConflictError, match="no writable folder"):
        files.require_folder(tmp_path / "missing" / "a.tif")


def test_digests_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256_of(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


@pytest.mark.parametrize("way", ["as it is", "from here", "up and down", "linked", "hard link", "capitals"])
def test_an_input_is_known_by_every_name(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = tmp_path / "data" / "map.tif"
    given.parent.mkdir()
    given.write_bytes(b"mine")
    target = {
        "as it is": given,
        "from here": Path("data/map.tif"),
        "up and down": Path("data/../data/map.tif"),
        "linked": tmp_path / "link.tif",
        "hard link": tmp_path / "hard.tif",
        "capitals": given.with_name("MAP.TIF"),
    }[way]
    Path("link.tif").symlink_to(given)
    Path("hard.tif").hardlink_to(given)
    with pytest.raises(OutputConflictError, match="the output is one of the inputs"):
        require_free(target, overwrite=True, inputs=[given])
    require_free(target, overwrite=True, inputs=[tmp_path / "data" / "other.tif", tmp_path / "none"])


def test_what_belongs_to_an_input_is_kept_and_its_neighbours_are_not(tmp_path: Path) -> None:
    for name in ("ref.shp", "map.tif"):
        (tmp_path / name).write_bytes(b"mine")
    inputs = [tmp_path / "ref.shp", tmp_path / "map.tif"]
    for name in ("ref.dbf", "REF.PRJ", "ref.shp.xml", "map.tif.aux.xml", "map.tfw", "map.tif.msk"):
        with pytest.raises(OutputConflictError, match="part of an input"):
            require_free(tmp_path / name, overwrite=True, inputs=inputs)
    for name in ("ref.gpkg", "ref2.dbf", "map.gpkg", "map.dbf", "map.qml"):
        require_free(tmp_path / name, overwrite=True, inputs=inputs)


def test_a_folder_is_replaced_only_where_it_is_known_and_holds_no_input(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    require_new_folder(folder, overwrite=False)
    folder.mkdir()
    require_new_folder(folder, overwrite=True, marks=["bundle.json"])
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputConflictError, match=r"holds no bundle\.json"):
        require_new_folder(folder, overwrite=True, marks=["bundle.json"])
    (folder / "bundle.json").write_text("{}")
    require_new_folder(folder, overwrite=True, marks=["bundle.json"])
    with pytest.raises(OutputConflictError, match=r"exists already.*overwrite"):
        require_new_folder(folder, overwrite=False, marks=["bundle.json"])
    with pytest.raises(OutputConflictError, match=r"notes\.txt lies in it"):
        inputs = [folder / "notes.txt"]
        require_new_folder(folder, overwrite=True, inputs=inputs, marks=["bundle.json"])


@pytest.mark.parametrize("name", ["y" * 300, "\u6f22" * 90 + ".tif", "y" * 300 + "/a.tif", "a\0.tif"])
def test_names_that_no_disk_holds_are_refused(name: str, tmp_path: Path) -> None:
    for check in (files.require_place, files.require_folder, files.require_out):
        with pytest.raises((UsageError, OutputConflictError)):
            check(tmp_path / name)
    with pytest.raises(UsageError, match="a name"):
        require_free(tmp_path / name, overwrite=False)
