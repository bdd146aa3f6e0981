"""Ledger, manifest, claim and journal."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from geoseg.errors import InputError, OutputConflictError
from geoseg.execution.claim import claim
from geoseg.execution.journal import Journal
from geoseg.execution.ledger import Ledger, differences
from geoseg.execution.manifest import read_manifest, verify_files, write_manifest

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
    (finished / "manifest.json").write_text(json.dumps(content))
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
