"""The table of peers: a peer that fails is a row that says why, and labels are counted right."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from benchmarks.prediction_peers import (
    PEERS,
    Cost,
    Network,
    Peer,
    Scene,
    Way,
    interpreter,
    measured,
    peer_ways,
    reason,
    row,
)


def way(code: str, out: Path) -> Way:
    return Way(name="tool 1", settings="default", command=(sys.executable, "-S", "-c", code), out=out)


def write(path: Path, labels: np.ndarray) -> Path:
    profile = {"driver": "GTiff", "width": 4, "height": 2, "count": 1, "dtype": "uint8"}
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(path, "w", **profile) as file,
    ):
        file.write(labels, 1)
    return path


def test_a_peer_that_fails_is_a_row_with_the_reason_and_runs_once(tmp_path: Path) -> None:
    count = tmp_path / "runs"
    fails = way(f"open({str(count)!r}, 'a').write('x'); raise ValueError('no | band')", tmp_path / "a.tif")
    silent = way("pass", tmp_path / "b.tif")
    absent = Way(name="tool 2", settings="s", command=(str(tmp_path / "nothing"),), out=tmp_path / "c.tif")
    costs = measured([fails, silent, absent], 2)
    assert costs[0] == "exit 1: ValueError: no / band"
    assert count.read_text() == "x"
    assert costs[1] == "it ended well and wrote nothing"
    assert str(costs[2]).startswith("FileNotFoundError")
    line = row(fails, costs[0], np.zeros((2, 4), np.uint8), None)
    assert line == "| tool 1 | default | not run: exit 1: ValueError: no / band | | | | |"


def test_costs_are_the_least_of_all_rounds_and_labels_are_compared(tmp_path: Path) -> None:
    labels = np.array([[1, 1, 2, 2], [1, 2, 2, 2]], np.uint8)
    whole = np.array([[1, 1, 2, 2], [1, 2, 2, 1]], np.uint8)
    known = np.array([[1, 2, 2, 2], [255, 255, 255, 255]], np.uint8)
    good = way("sum(range(10**6))", write(tmp_path / "a.tif", labels))
    (cost,) = measured([good], 2)
    assert isinstance(cost, Cost)
    assert cost.cpu > 0
    assert cost.mib > 1
    line = row(good, Cost(cpu=2.04, wall=3, mib=100), whole, known)
    assert line == "| tool 1 | default | 2.0 | 3.0 | 100 | 87.500% | 75.00% |"
    small = Cost(cpu=1, wall=4, mib=120).best(Cost(cpu=2, wall=3, mib=100))
    assert small == Cost(cpu=1, wall=3, mib=120)


def test_what_cannot_be_installed_is_a_row(tmp_path: Path) -> None:
    peer = Peer(name="none", script="none.py", requirements=("x==1",), settings={"a": (), "b": ()})
    assert "GEOSEG_PEER_ENVIRONMENTS" in str(interpreter(peer, None, sys.executable))
    python = interpreter(peer, tmp_path, str(tmp_path / "python9"))
    assert isinstance(python, str)
    assert python.startswith("cannot be installed")
    scene = Scene(path=tmp_path / "scene.tif", model="m", reference=None)
    (line,) = peer_ways(peer, python, scene, Network(path=tmp_path / "n.pt", ids=(1, 2)))
    assert (line.settings, line.problem) == ("a, b", python)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("Traceback (most recent call last):\n  File x\nlib.Gone: no\nKeyError: 'a'\n", "KeyError: 'a'"),
        ("warning: slow\nerror: No solution found\n  cause: y", "error: No solution found"),
        ("killed", "killed"),
        ("\n", "it says nothing"),
    ],
)
def test_the_line_that_names_the_error(said: str, line: str) -> None:
    assert reason(said) == line


def test_every_peer_has_its_script_and_pinned_packages() -> None:
    folder = Path(__file__).parents[2] / "benchmarks" / "peers"
    for peer in PEERS:
        code = (folder / peer.script).read_text("utf-8")
        assert "geoseg" not in code
        assert all("==" in requirement for requirement in peer.requirements)
    assert os.access(folder / "one_forward.py", os.R_OK)
