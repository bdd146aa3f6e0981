"""Editors know every option of every verb."""

from __future__ import annotations

from typing import Any

import pytest

from geoseg.job import Job

from .make import MODULE, class_name, page, type_of, verbs, written


def test_the_module_is_what_the_jobs_say() -> None:
    assert MODULE.read_text(encoding="utf-8") == page(), "python -m tests.options.make writes it anew"


@pytest.mark.parametrize(("name", "verb", "job"), list(verbs()))
def test_every_verb_names_them(name: str, verb: Any, job: type[Job]) -> None:
    assert verb.__annotations__["options"] == f"Unpack[{class_name(job)}]"


@pytest.mark.parametrize(("name", "verb", "job"), list(verbs()))
def test_whatever_names_files_takes_a_path(name: str, verb: Any, job: type[Job]) -> None:
    named = {"scene", "image", "mask", "model", "start", "clouds", *job.written}
    for field in named & job.model_fields.keys():
        if (name, field) != ("train", "model"):  # the name of what is made
            assert "FilePath" in written(type_of(job.model_fields[field])), field
