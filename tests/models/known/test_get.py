"""Public models by recipe: what is asked first, what is refused, and where the bundle is found."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from click.testing import CliRunner

from geoseg.cli.model import command
from geoseg.errors import InputError, UsageError
from geoseg.models import bundle as bundles
from geoseg.models.architectures import Architecture
from geoseg.models.bundle import list_bundles, load_bundle
from geoseg.models.description import ModelDescription
from geoseg.models.known import catalogue, files
from geoseg.models.known.catalogue import KNOWN
from geoseg.models.known.get import get_model
from geoseg.models.known.recipe import KnownFile, Recipe

from .. import bundles as made

CONTENT = np.arange(9, dtype=np.float32).tobytes()


def convert(found):
    model = ModelDescription(
        name="toy",
        version="1",
        architecture=Architecture(name="linear"),
        contract=made.contract(),
        legend=made.LEGEND,
        licence="CC0-1.0",
    )
    weights = np.frombuffer(found["toy.bin"], np.float32).reshape(3, 3, 1, 1)
    return model, {"weight": weights, "bias": np.zeros(3, np.float32)}


TOY = Recipe(
    name="toy",
    what="A toy.",
    licence="CC0-1.0",
    notice="Made by hand.\n",
    files=(KnownFile(name="toy.bin", sha256=sha256(CONTENT).hexdigest()),),
    convert=convert,
)


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSEG_MODELS", str(tmp_path / "own"))
    monkeypatch.setitem(catalogue.KNOWN, "toy", TOY)
    (tmp_path / "brought" / "variables").mkdir(parents=True)
    (tmp_path / "brought" / "variables" / "toy.bin").write_bytes(CONTENT)
    return tmp_path / "brought"


@pytest.mark.parametrize("form", ["folder", "file", "archive"])
def test_a_bundle_by_name_from_what_is_brought(own, tmp_path, form):
    source = {"folder": own, "file": own / "variables" / "toy.bin", "archive": tmp_path / "toy.whl"}[form]
    if form == "archive":
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("package/toy.bin", CONTENT)
    bundle = get_model("toy", source=source, accept_licence=True)
    assert load_bundle("toy").digest == bundle.digest
    assert "toy" in list_bundles()
    assert (bundle.path / "NOTICE").read_text() == "Made by hand.\n"
    assert "Made by hand." in (bundle.path / "README.md").read_text()
    assert bundle.provenance["converted"] == {"toy.bin": TOY.files[0].sha256}


def test_the_licence_comes_first(own, tmp_path):
    run = CliRunner().invoke(command, ["get", "toy", "--from", str(own)])
    assert isinstance(run.exception, UsageError)
    assert "Made by hand" in str(run.exception)
    assert not (tmp_path / "own").exists()


def test_another_file_is_refused(own):
    (own / "variables" / "toy.bin").write_bytes(CONTENT[:-1] + b"\1")
    with pytest.raises(InputError, match="not the published file"):
        get_model("toy", source=own, accept_licence=True)


@pytest.mark.parametrize("name", [*KNOWN])
def test_nothing_is_fetched_unasked(name, monkeypatch):
    monkeypatch.setattr(files, "_installed", lambda recipe: {})
    monkeypatch.setattr(files, "_fetched", lambda file: pytest.fail("fetched"))
    with pytest.raises(UsageError, match="Try") as raised:
        get_model(name, accept_licence=True)
    assert KNOWN[name].package in str(raised.value)


def test_what_is_fetched_is_checked(monkeypatch):
    asked = replace(TOY, files=(replace(TOY.files[0], url="https://example.org/toy.bin"),))
    monkeypatch.setitem(catalogue.KNOWN, "toy", asked)
    monkeypatch.setattr(files, "_fetched", lambda file: CONTENT + b"more")
    with pytest.raises(InputError, match="not the published file"):
        get_model("toy", download=True, accept_licence=True)
    monkeypatch.setattr(files, "_fetched", lambda file: CONTENT)
    assert get_model("toy", download=True, accept_licence=True).name == "toy"


def test_unknown_names_and_missing_files(own):
    with pytest.raises(UsageError, match="'dynamic-world'"):
        get_model("dynamic-word", accept_licence=True)
    (own.parent / "empty").mkdir()
    with pytest.raises(InputError, match=r"no toy\.bin in it"):
        get_model("toy", source=own.parent / "empty", accept_licence=True)


def test_recipes_are_listed():
    run = CliRunner().invoke(command, ["get"])
    assert run.exit_code == 0
    assert all(name in run.output for name in KNOWN)


def test_own_bundles_have_a_place(monkeypatch, tmp_path):
    monkeypatch.delenv("GEOSEG_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert bundles.own_bundles() == tmp_path / "geoseg" / "models"
