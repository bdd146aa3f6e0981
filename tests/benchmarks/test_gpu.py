"""The script for GPUs: without one it says so; on a CPU it measures, so that it runs where there is one."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks import gpu
from geoseg.models.bundle import load_bundle


def test_without_a_gpu_it_says_so_and_measures_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path / "out")])
    gpu.main()
    assert capsys.readouterr().out.startswith("no GPU: torch ")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_on_a_cpu_all_steps_run_and_the_page_tells_them(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "_SECONDS", 0.01)
    small = ["--side", "256", "--tile", "128", "--batch", "1", "2", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path), "--model", "demo-frontier", *small])
    gpu.main()
    facts = json.loads((tmp_path / "gpu.json").read_text())
    rows = [row for row in facts["engines"] if "problem" not in row]
    assert [(row["precision"], row["batch"]) for row in rows] == [
        ("fp32", 1), ("fp32", 2), ("bf16", 1), ("bf16", 2),
    ]  # fmt: skip
    assert all(row["again"] and row["one by one"] for row in rows)
    assert all(row["labels as fp32"] > 0.9 for row in rows)
    assert all("fp16 is for GPUs" in row["problem"] for row in facts["engines"][4:])
    assert [row["Mpx"] for row in facts["scenes"]] == [0.1, 0.1]
    assert (tmp_path / "gpu.md").read_text() == gpu.in_markdown(facts)


def test_the_page_has_a_row_for_everything_measured_and_every_problem():
    facts = {
        "where": "Linux, torch 2, cuda:0 H200",
        "model": "m",
        "tile": 512,
        "engines": [
            {"precision": "fp32", "batch": 1, "bare": 2.0, "again": True},
            {"precision": "fp16", "batch": 1, "problem": "out of | memory"},
        ],
        "scenes": [],
        "tests": "1 passed",
    }
    page = gpu.in_markdown(facts)
    assert "| fp32 | 1 | 2.0 | yes |  |" in page
    assert "| fp16 | 1 |  |  | out of" in page
    assert page.endswith("Tests that need a GPU: 1 passed\n")


def test_a_scene_that_is_made_is_one_that_the_model_takes(tmp_path):
    bundle = load_bundle("demo-frontier")
    import geoseg

    scene = geoseg.open_scene(gpu.make_scene(tmp_path / "s.tif", bundle, 64))
    pixels, valid = scene.read(scene.grid.window)
    assert pixels.shape == (len(bundle.contract.bands), 64, 64)
    assert valid.all()
    values = pixels.reshape(len(pixels), -1) * bundle.contract.scale + bundle.contract.offset
    assert np.abs(values.mean(axis=1) - bundle.contract.mean).max() < 2 * max(bundle.contract.std)
