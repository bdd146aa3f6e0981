"""Ledger, manifest, claim and journal."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from geoseg.errors import InputError, OutputConflictError
from geoseg.execution.claim import claim
from geoseg.execution.journal import Journal
from geoseg.execution.ledger import Ledger, differences
from geoseg.execution.manifest import (
    MANIFEST,
    WORK,
    add_files,
    digest_of,
    read_manifest,
    runs_in,
    verify_files,
    write_manifest,
)

IDENTITY = {"scene": {"sha256": "ab"}, "tiling": {"tile": 512, "margin": 32}}


def test_a_ledger_remembers_through_reopening(tmp_path: Path) -> None:
    path = tmp_path / "work" / "ledger.sqlite"
    path.parent.mkdir()
    with Ledger(path, IDENTITY) as ledger:
        ledger.set_done(4, {"digests": {"classes": "x"}})
        ledger.set_failed(7, "block unreadable")
        ledger.set_failed(9, "block unreadable")
        ledger.set_done(9, {"digests": {}})
    with Ledger(path, IDENTITY) as ledger:
        assert ledger.done() == {4: {"digests": {"classes": "x"}}, 9: {"digests": {}}}
        assert ledger.failed() == {7: "block unreadable"}
        ledger.forget(4)
        assert list(ledger.done()) == [9]


def test_another_request_is_refused_with_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "work" / "ledger.sqlite"
    path.parent.mkdir()
    Ledger(path, IDENTITY).__exit__()
    changed = {**IDENTITY, "tiling": {"tile": 512, "margin": 64}}
    with pytest.raises(OutputConflictError, match=r"tiling\.margin: 32 -> 64") as caught:
        Ledger(path, changed)
    assert caught.value.exit_code == 6


def test_differences_name_leaves() -> None:
    assert differences({"a": [1, 2]}, {"a": [1, 3]}) == ["a[1]: 2 -> 3"]
    assert differences({"a": 1}, {"b": 1}) == ["a: 1 -> None", "b: None -> 1"]
    assert differences(IDENTITY, json.loads(json.dumps(IDENTITY))) == []


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    (tmp_path / "classes.tif").write_bytes(b"pixels")
    (tmp_path / "run.yaml").write_bytes(b"job")
    write_manifest(tmp_path, {"run_id": "1"}, ["classes.tif", "run.yaml"])
    return tmp_path


def test_an_untouched_run_verifies(finished: Path) -> None:
    assert verify_files(finished) == [("classes.tif", None), ("run.yaml", None)]


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda p: p.write_bytes(b"pixelz"), "SHA-256"),
        (lambda p: p.write_bytes(b"pix"), "3 bytes, expected 6"),
        (lambda p: p.unlink(), "missing"),
    ],
)
def test_harm_to_a_file_is_found(finished: Path, harm, fault: str) -> None:  # type: ignore[no-untyped-def]
    harm(finished / "classes.tif")
    assert fault in str(dict(verify_files(finished))["classes.tif"])


def test_a_manifest_cannot_point_outside(finished: Path) -> None:
    content = json.loads((finished / "manifest.json").read_text())
    content["files"]["../secret"] = {"bytes": 1, "sha256": ""}
    del content["digest"]  # whoever made it knows how to sign it
    (finished / "manifest.json").write_text(json.dumps({**content, "digest": digest_of(content)}))
    assert dict(verify_files(finished))["../secret"] == "name leads outside the folder"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}', "\xff"])
def test_a_broken_manifest_is_an_input_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError):
        read_manifest(tmp_path)


def test_a_claimed_folder_names_its_holder_and_is_free_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / ".work"
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from geoseg.execution.claim import claim
        with claim(Path(sys.argv[1])):
            print("held", flush=True)
            time.sleep(60)
    """)
    holder = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputConflictError, match=f"process {holder.pid} on"), claim(folder):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with claim(folder):
        assert json.loads((folder / "holder.json").read_text())["pid"] != holder.pid


def test_journal_lines_are_json_without_secrets(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "log.jsonl")
    journal.event("start", scene="https://host/scene.tif?sig=SECRET")
    journal.event("done", chunk=3)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "done"]
    assert lines[0]["scene"] == "https://host/scene.tif"


def test_a_manifest_vouches_for_itself(finished: Path) -> None:
    path = finished / MANIFEST
    content = path.read_text()
    for harmed, said in (
        (content.replace('"run_id": "1"', '"run_id": "2"'), "changed after it was written"),
        (content[:-9], "cannot be read"),
        ("[1]", "not a manifest"),
        ("{}", "not a manifest"),
        ("[" * 100_000, "cannot be read"),
    ):
        path.write_text(harmed)
        with pytest.raises(InputError, match=said):
            verify_files(finished)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        verify_files(finished)
    path.unlink()
    with pytest.raises(InputError, match=r"no manifest.json\. a run that finished has one"):
        verify_files(finished)
    (finished / WORK).mkdir()
    with pytest.raises(InputError, match=r"did not finish.*it resumes"):
        verify_files(finished)


def test_what_other_verbs_wrote_into_a_run_is_checked_with_it(finished: Path, tmp_path: Path) -> None:
    polygons = finished / "classes.gpkg"
    polygons.write_bytes(b"polygons")
    add_files("vectorize", [polygons])
    assert dict(verify_files(finished))["classes.gpkg"] is None
    polygons.write_bytes(b"polygonz")
    assert "SHA-256" in (dict(verify_files(finished))["classes.gpkg"] or "")
    assert "classes.gpkg" not in dict(verify_files(finished, added=False))
    add_files("vectorize", [polygons])
    assert dict(verify_files(finished))["classes.gpkg"] is None
    assert not list(finished.glob(".*"))


def test_many_at_once_add_to_a_manifest_and_none_is_lost(finished: Path) -> None:
    names = [finished / f"{i}.json" for i in range(12)]
    for name in names:
        name.write_text(name.name)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: add_files("evaluate", [name]), names))
    assert {n.name for n in names} <= dict(verify_files(finished)).keys()


def test_runs_are_found_below_a_folder(tmp_path: Path) -> None:
    for name in ("a", "b/c", "d"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x").write_bytes(b"x")
    write_manifest(tmp_path / "a", {}, ["x"])
    write_manifest(tmp_path / "b" / "c", {}, ["x"])
    (tmp_path / "d" / WORK).mkdir()
    assert runs_in(tmp_path) == [tmp_path / "a", tmp_path / "b" / "c", tmp_path / "d"]
    assert runs_in(tmp_path / "a") == [tmp_path / "a"]


def test_what_a_run_writes_leads_nowhere_else(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "log").write_text("mine\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "log.jsonl").symlink_to(elsewhere / "log")
    Journal(tmp_path / "out" / "log.jsonl").event("start")
    assert (elsewhere / "log").read_text() == "mine\n"
    assert not (tmp_path / "out" / "log.jsonl").is_symlink()
    (tmp_path / "out" / WORK).symlink_to(elsewhere)
    with pytest.raises(OutputConflictError, match="symbolic link"), claim(tmp_path / "out" / WORK):
        pass
    assert [p.name for p in elsewhere.iterdir()] == ["log"]
