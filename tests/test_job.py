"""Jobs and the strict YAML they are read from."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import geoseg
from geoseg.errors import InputError, UsageError
from geoseg.job import Job, Place
from geoseg.strict_yaml import read_yaml


class Mapping(Job):
    """A job of the usual kinds of field."""

    scene: Place
    tile: int = 512
    margin: int | None = None
    bands: tuple[int, ...] = (1, 2, 3)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "job.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_job_is_read_from_yaml(tmp_path: Path) -> None:
    job = Mapping.load(write(tmp_path, "scene: a.tif\ntile: 256\nbands: [4, 3]\n"))
    assert job == Mapping(scene="a.tif", tile=256, bands=(4, 3))


def test_a_path_is_taken_where_text_says_a_place() -> None:
    assert Mapping.parse({"scene": Path("data/a.tif")}).scene == str(Path("data/a.tif"))
    with pytest.raises(UsageError, match=r"^'scene': .*found 3"):
        Mapping.parse({"scene": 3})


class Writing(Job):
    """A job with paths."""

    out: Path | None = None
    legend: Path | dict[int, str] | None = None


@pytest.mark.parametrize(("job", "key"), [(Mapping, "scene"), (Writing, "out"), (Writing, "legend")])
def test_an_empty_path_is_none(job: type[Job], key: str) -> None:
    with pytest.raises(UsageError, match=f"^'{key}': is empty"):
        job.parse({key: ""})


text_without_controls = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30)


@given(text_without_controls.filter(bool), st.integers(), st.none() | st.integers(), st.lists(st.integers()))
def test_dump_and_load_are_inverse(
    tmp_path: Path, scene: str, tile: int, margin: int | None, bands: list[int]
) -> None:
    job = Mapping(scene=scene, tile=tile, margin=margin, bands=tuple(bands))
    assert Mapping.load(write(tmp_path, job.dump())) == job


def test_a_job_is_frozen_and_hashable() -> None:
    job = Mapping(scene="a.tif")
    assert hash(job) == hash(Mapping(scene="a.tif"))
    with pytest.raises(ValueError, match="frozen"):
        job.tile = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"scene": "a", "tyle": 3}, r"unknown key 'tyle'.*scene, tile, margin, bands.*Try: 'tile'"),
        ({"scene": "a", "zzz": 3}, r"unknown key 'zzz'.*scene, tile, margin, bands\.$"),
        ({"tile": 3}, "`scene` is missing"),
        ({"scene": "a", "tile": "many"}, r"'tile': .*integer.*found 'many'"),
        ({"scene": "a", "bands": [1, "red"]}, r"'bands\.1'.*found 'red'"),
    ],
)
def test_a_wrong_key_or_value_is_named(values: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        Mapping.parse(values, where="job.yaml")
    assert str(caught.value).startswith("job.yaml: ")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{','.join(['*' + m] * 9)}]\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("scene: a\ntile: 1\nscene: b\n", r"key 'scene' stands twice.*line 3", id="duplicate"),
        pytest.param("scene: {x: 1, y: 2, x: 3}\n", r"key 'x' stands twice.*line 1", id="nested"),
        pytest.param(BOMB, "aliases are not allowed", id="bomb"),
        pytest.param("base: &b {tile: 1}\nother:\n  <<: *b\n", "aliases are not allowed", id="merge"),
        pytest.param("- 1\n- 2\n", "not a mapping.*found list", id="list"),
        pytest.param("", "holds no keys", id="empty"),
        pytest.param("#006400: forest\n#FFFF00: pasture\n", "quotes where they begin with #", id="comment"),
        pytest.param("scene: [1, 2\n", r"not valid YAML.*line 2", id="unclosed"),
        pytest.param("scene: !!python/object/apply:os.system ['true']\n", "not valid YAML", id="code"),
        pytest.param(b"scene: \xff\xfe\n", "not UTF-8", id="bytes"),
        pytest.param("scene: a\n" + "# padding\n" * 100_001, "too large.*1000019 bytes", id="large"),
        pytest.param("scene: a\n---\nscene: b\n", "not valid YAML", id="documents"),
    ],
)
def test_yaml_that_hides_something_is_refused(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=says) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="not found") as caught:
        read_yaml("nowhere.yaml")
    assert str(tmp_path / "nowhere.yaml") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("010: a", "010 has a leading zero; quote it: '010'"),
        ("a: -08", "quote it: '-08'"),
        ("1_1: a", "1_1 is a number or a text; write the number plainly, or quote the text: '1_1'"),
        ("a: 0x1F", "0x1F is a number or a text"),
        ("0b11: a", "0b11 is a number or a text"),
        ("1: a\n1.0: b", "two keys are equal"),
        ("1: a\ntrue: b", "two keys are equal"),
        ("a: !!int abc", "a value cannot be read"),
        ("a: !!timestamp 2001-99-99", "a value cannot be read"),
        ("a: " + "9" * 5000, "a value cannot be read"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deep"),
        ("a: !!map abc", "not valid YAML"),
        ("? [1, 2]\n: a", "not valid YAML"),
    ],
)
def test_yaml_that_would_mislead_or_break_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(says)):
        read_yaml(path)


def test_bare_words_of_yaml_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("no: yes\non: off\nday: 2001-99-99\ntime: 1:30\nnone: none\n'010': 10\nx: true\ny: ~\n")
    expected = {
        "no": "yes", "on": "off", "day": "2001-99-99", "time": "1:30", "none": "none", "010": 10, "x": True,
        "y": None,
    }  # fmt: skip
    assert read_yaml(path) == expected


def test_what_is_dumped_is_loaded_again(tmp_path: Path) -> None:
    class Words(Job):
        words: list[str]

    job = Words(words=["08", "010", "no", "2001-01-01", "1:30", "~", "null", "1e3", "0x1F", "1_1", "0b1", ""])
    (tmp_path / "job.yaml").write_text(job.dump(), encoding="utf-8")
    assert Words.load(tmp_path / "job.yaml") == job


@pytest.mark.parametrize(
    ("verb", "job"),
    [
        ("predict", "geoseg.prediction.job:PredictJob"),
        ("plan", "geoseg.prediction.job:PredictJob"),
        ("vectorize", "geoseg.vectorization.job:VectorizeJob"),
        ("evaluate", "geoseg.evaluation.job:EvaluateJob"),
        ("change", "geoseg.changes.job:ChangeJob"),
        ("fit", "geoseg.baselines.job:FitJob"),
    ],
)
def test_a_verb_shows_every_option_with_its_default(verb: str, job: str) -> None:
    module, name = job.split(":")
    shown = inspect.signature(getattr(geoseg, verb)).parameters
    for field, info in getattr(importlib.import_module(module), name).model_fields.items():
        assert field in shown
        if not info.is_required() and shown[field].default is not None:
            assert shown[field].default == info.get_default(call_default_factory=True) or field == "out"
    assert not [p for p in shown.values() if p.kind is p.VAR_KEYWORD]
