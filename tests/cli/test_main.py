"""The command line as a user meets it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import geoseg
from geoseg.cli import main as cli_main
from geoseg.cli.say import safe, shown
from geoseg.errors import GeosegError, InputError, ResourceError

COMMANDS = list(cli_main.cli.list_commands(click.Context(cli_main.cli)))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geoseg", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_lists_every_command() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert {
        "plan",
        "predict",
        "vectorize",
        "evaluate",
        "change",
        "run",
        "verify",
        "doctor",
        "demo",
        "model",
    } <= set(COMMANDS)
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(cli_main.cli, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage:")


def test_version() -> None:
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith(f"geoseg, version {geoseg.__version__}\n")
    assert all(re.search(rf"\b{name} \d", result.stdout) for name in ("GDAL", "PROJ", "torch"))


def test_help_says_how_the_shell_completes() -> None:
    assert all(
        f"_GEOSEG_COMPLETE={shell}_source" in run("--help").stdout for shell in ("bash", "zsh", "fish")
    )


def test_what_nobody_foresaw_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert exit_of(monkeypatch, KeyError("a\x1b[31m\nb"), "predict", "scene.tif") == 70
    errors = capsys.readouterr().err
    assert len(errors.splitlines()) == 1
    assert "please report" in errors
    assert "\x1b" not in errors
    (file,) = tmp_path.iterdir()
    assert str(file) in errors
    assert "KeyError" in file.read_text(encoding="utf-8")
    with pytest.raises(KeyError):
        exit_of(monkeypatch, KeyError("a"), "--debug")
    assert len(list(tmp_path.iterdir())) == 1


@given(st.text(st.characters(exclude_characters="\t\n"), max_size=50))
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    shown = safe(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cs"} for c in shown)
    assert safe(shown) == shown
    assert shown == text or any(unicodedata.category(c) in {"Cc", "Cs", "Cf", "Zl", "Zp"} for c in text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pass@host/a.tif", "https://***@host/a.tif"),
        (
            "/vsicurl/https://h/a.tif?X-Amz-Signature=abc&X-Amz-Date=1",
            "/vsicurl/https://h/a.tif?X-Amz-Signature=***&X-Amz-Date=1",
        ),
        ("https://h/a.tif?sv=1&sig=abc%3D&se=2", "https://h/a.tif?sv=1&sig=***&se=2"),
        ("PG:host=h password=secret dbname=d", "PG:host=h password=*** dbname=d"),
        ("caf\u00e9 \u6f22\u5b57 a.tif", "caf\u00e9 \u6f22\u5b57 a.tif"),
        ("map\x1b]0;x\x07.tif", "map\\x1b]0;x\\x07.tif"),
    ],
)
def test_secrets_are_masked_and_names_are_kept(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_paths_below_the_working_folder_are_shown_from_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert safe(f"  {tmp_path}/out/a b.tif") == "  out/a b.tif"
    assert safe(f"{tmp_path}/a.tif: not found. Try: '{tmp_path}/b.tif'") == "a.tif: not found. Try: 'b.tif'"
    for other in (f"{tmp_path}2/a.tif", f"/mnt{tmp_path}/a.tif", f"{tmp_path.parent}/a.tif", str(tmp_path)):
        assert safe(other) == other
    assert shown(Path("out/a.tif")) == shown(tmp_path / "out" / "a.tif") == "out/a.tif"
    assert shown(Path("../a.tif")) == str(tmp_path.parent / "a.tif")
    monkeypatch.chdir("/")
    assert safe("/a/b.tif") == "/a/b.tif"


def test_a_misspelt_command_suggests_the_right_one() -> None:
    result = run("predikt", "scene.tif")
    assert result.returncode == 2
    assert "Did you mean 'predict'?" in result.stderr


def test_an_unknown_option_is_a_usage_error() -> None:
    result = run("doctor", "--colour")
    assert result.returncode == 2
    assert "No such option" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_scene_is_an_input_error_that_names_it(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.tif"
    result = run("predict", str(missing), "--model", "forest-s2-rgb", "--out", str(tmp_path / "out"))
    assert result.returncode == 3, result.stderr
    assert str(missing) in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def exit_of(monkeypatch: pytest.MonkeyPatch, raised: BaseException, *arguments: str) -> int:
    def raises(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(cli_main.cli, "main", raises)
    with pytest.raises(SystemExit) as caught:
        cli_main.main(list(arguments))
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (InputError("no CRS", where="a.tif"), 3, "geoseg: a.tif: no CRS."),
        (ResourceError("disk full"), 5, "geoseg: disk full."),
        (KeyboardInterrupt(), 130, "the same command starts anew."),
        (MemoryError(), 5, "out of memory"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    says: str,
) -> None:
    assert exit_of(monkeypatch, raised) == code
    errors = capsys.readouterr().err
    assert says in errors
    assert len(errors.splitlines()) <= 1


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("predict scene.tif", "The same command resumes."),
        ("model int8 my-bundle images masks", "The same command resumes."),
        ("model compare scene.tif truth.tif", "The same command resumes."),
        ("model export my-bundle", "the same command starts anew."),
    ],
)
def test_what_a_stopped_command_does_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, says: str
) -> None:
    assert exit_of(monkeypatch, KeyboardInterrupt(), *command.split()) == 130
    assert says in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    error = InputError("no CRS")

    def raises(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli_main.cli, "main", raises)
    with pytest.raises(GeosegError):
        cli_main.main(["--debug"])
