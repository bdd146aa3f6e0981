"""The verb sample_status: what has been labelled, by whom, and how far people agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from geoseg.job import takes
from geoseg.options import SampleStatusOptions
from geoseg.results import as_json
from geoseg.sampling.agreement import cohen_kappa, fleiss_kappa
from geoseg.sampling.file import read_sample
from geoseg.sampling.job import SampleStatusJob
from geoseg.sampling.layout import Answer, Sample

_NOBODY = "nobody named"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Units by what is known of them.

    Attributes
    ----------
    name
        Stratum or interpreter.
    labelled, unknown, left
        With a label; with a reason why there is none; without a word.
    """

    name: str
    labelled: int
    unknown: int
    left: int

    @property
    def n(self) -> int:
        """All of them."""
        return self.labelled + self.unknown + self.left


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far interpreters agree, on the units to which all of them gave a label.

    Attributes
    ----------
    interpreters
        Two, or all of several.
    units
        Number of these units.
    agreed
        Share of them on which they say the same.
    kappa
        Cohen's of two, Fleiss' of more; None where there is none.
    """

    interpreters: tuple[str, ...]
    units: int
    agreed: float
    kappa: float | None


@dataclass(frozen=True, kw_only=True)
class SampleStatus:
    """What has been labelled of a sample.

    Attributes
    ----------
    path
        The sample.
    strata, interpreters
        Progress of each.
    agreements
        Of every pair of interpreters, then of all.
    disputed
        Ids that all have answered and on which no more than half agree; a label in ``sample`` settles them.
    next_order
        Order of the first unit without a word; None where none is left.
    notes
        What the user should know.
    """

    path: Path
    strata: tuple[Progress, ...]
    interpreters: tuple[Progress, ...]
    agreements: tuple[Agreement, ...]
    disputed: tuple[str, ...]
    next_order: int | None
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> Progress:
        """Progress of all strata."""
        return Progress(
            name="all",
            labelled=sum(s.labelled for s in self.strata),
            unknown=sum(s.unknown for s in self.strata),
            left=sum(s.left for s in self.strata),
        )

    @property
    def can_be_estimated(self) -> bool:
        """Whether every stratum has what a variance needs: two labels; or nobody is asked for more."""
        return all(s.labelled >= min(2, s.n) for s in self.strata) or self.total.left == 0

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@takes(SampleStatusJob)
def sample_status(sample: str | PathLike[str], **options: Unpack[SampleStatusOptions]) -> SampleStatus:
    """What has been labelled of a sample, per stratum and interpreter, and how far people agree.

    Parameters
    ----------
    sample
        GeoPackage that `geoseg.sample_design` drew.
    **options
        The further fields of `SampleStatusJob`.

    Raises
    ------
    InputError
        A file that is no sample, or in which ids or labels are wrong.
    """
    return run_sample_status(SampleStatusJob.parse({"sample": sample, **options}))


def run_sample_status(job: SampleStatusJob) -> SampleStatus:
    """Status of a job; see `sample_status`."""
    sample = read_sample(job.sample)
    said = _answers(sample)
    left = [u.order for u in sample.units if u.answer.state == "left"]
    answered = [u.order for u in sample.units if u.answer.state != "left"]
    notes = []
    if left and answered and max(answered) > min(left):
        early = sum(order > min(left) for order in answered)
        notes.append(
            f"{early:,} units were labelled before others of lower order: "
            "until these are done, what is labelled is no random sample"
        )
    return SampleStatus(
        path=job.sample,
        strata=tuple(
            _progress(s.name, (u.answer for u, _ in sample.in_stratum(s.stratum))) for s in sample.strata
        ),
        interpreters=tuple(_progress(who, answers.values()) for who, answers in sorted(said.items())),
        agreements=tuple(_agreements(said)),
        disputed=tuple(_disputed(sample)),
        next_order=min(left, default=None),
        notes=tuple(notes),
    )


def _answers(sample: Sample) -> Mapping[str, Mapping[str, Answer]]:
    """Answers by interpreter and id; what stands in ``sample`` counts for the one who was asked alone."""
    units = {u.id: u.answer for u in sample.units}
    found: dict[str, dict[str, Answer]] = defaultdict(dict)
    asked = Counter(label.id for label in sample.labels)
    for label in sample.labels:
        is_theirs = asked[label.id] == 1 and label.answer.state == "left"
        own = units[label.id] if is_theirs else label.answer
        found[label.answer.interpreter or _NOBODY][label.id] = own
    for unit in sample.units:
        if unit.id not in asked:
            found[unit.answer.interpreter or _NOBODY][unit.id] = unit.answer
    return found


def _progress(name: str, answers: Iterable[Answer]) -> Progress:
    states = Counter(answer.state for answer in answers)
    return Progress(name=name, **{state: states[state] for state in ("labelled", "unknown", "left")})


def _agreements(said: Mapping[str, Mapping[str, Answer]]) -> Iterable[Agreement]:
    people = sorted(said)
    groups = [*combinations(people, 2), *([tuple(people)] if len(people) > 2 else [])]
    for group in groups:
        common = set.intersection(*(set(said[who]) for who in group))
        rows = [
            [said[who][i].label for who in group]
            for i in sorted(common)
            if all(said[who][i].state == "labelled" for who in group)
        ]
        if not rows:
            continue
        columns = list(zip(*rows, strict=True))
        yield Agreement(
            interpreters=group,
            units=len(rows),
            agreed=sum(len(set(row)) == 1 for row in rows) / len(rows),
            kappa=cohen_kappa(*columns) if len(group) == 2 else fleiss_kappa(rows),
        )


def _disputed(sample: Sample) -> Iterable[str]:
    by_id: dict[str, list[Answer]] = defaultdict(list)
    for label in sample.labels:
        by_id[label.id].append(label.answer)
    for unit in sample.units:
        answers = by_id.get(unit.id, [])
        if unit.answer.state == "left" and answers and all(a.state != "left" for a in answers):
            yield unit.id
