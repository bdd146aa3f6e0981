"""A signal ends the command wherever it comes, and never leaves it hanging."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
    pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)]),
]

_START = """
import ctypes, os, signal, sys, threading, time
from geoseg.cli import main as cli, signals

number = getattr(signal, sys.argv[1])

def command(*arguments, **options):
    {command}

class Command:
    main = staticmethod(command)

cli.cli = Command()
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.main([])
"""


def _ended(name: str, command: str, **options: object) -> subprocess.CompletedProcess[str]:
    code = _START.format(command=command.strip().replace("\n", "\n    "))
    return subprocess.run(
        [sys.executable, "-c", code, name], check=False, capture_output=True, text=True, timeout=60, **options
    )  # type: ignore[call-overload,no-any-return]


def test_within_a_callback_it_is_heard(name: str, code: int) -> None:
    done = _ended(
        name,
        """
@ctypes.CFUNCTYPE(None)
def callback():  # nothing that is raised in here gets out
    os.kill(os.getpid(), number)
    for _ in range(1000):
        pass
callback()
time.sleep(20)
""",
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_within_an_import_it_waits_for_its_end(name: str, code: int, tmp_path: Path) -> None:
    """Else the lock of imports could stay held, and threads that import something wait for ever."""
    (tmp_path / "slow_module.py").write_text(
        "import os, signal, sys, time\n"
        "os.kill(os.getpid(), getattr(signal, sys.argv[1]))\n"
        "time.sleep(0.2)\n"
        "print('imported')\n"
    )
    done = _ended(name, f"sys.path.insert(0, {str(tmp_path)!r})\nimport slow_module\ntime.sleep(20)")
    assert (done.returncode, done.stdout) == (code, "imported\n")
    assert "Traceback" not in done.stderr


def test_what_does_not_close_is_left(name: str, code: int) -> None:
    done = _ended(
        name,
        """
signals._PATIENCE = 0.5
threading.Thread(target=threading.Event().wait).start()  # is waited for at the end
os.kill(os.getpid(), number)
time.sleep(20)
""",
    )
    assert done.returncode == code
    assert "nothing more is waited for" in done.stderr
    assert "Traceback" not in done.stderr
