"""Rules that a pixel's classes must keep over time, and the fewest edits that make it keep them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import UsageError
from geoseg.kernels import kernel
from geoseg.legend import Legend

_ARROW = re.compile(r"\s*(?:→|->)\s*")
_NEVER = {"never", "no", "not", "false"}
_SLACK = 0.02
"""Years, about a week: two maps of 15 and 12 July lie a year apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a sequence of classes must keep.

    Attributes
    ----------
    forbidden
        (K, K) bool: changes that never happen.
    least
        (K, K) float64: years that a class lasts at least after another one, by [class before, class]; 0 for
        no limit. A class that lasts to the end of the series is not judged.
    longest_dip
        Years that a class does not last between two dates of one other class: what is shorter or as long is
        taken for an error of the maps.
    """

    forbidden: NDArray[np.bool_]
    least: NDArray[np.float64]
    longest_dip: float

    @classmethod
    def parse(cls, raw: Mapping[Any, Any], legend: Legend) -> Rules:
        """Rules from a mapping.

        ``max_dip: 1``; ``forest: {after: [pasture, crops], min_years: 5}``, without `after` after any other
        class; ``water -> built-up: never``.

        Raises
        ------
        UsageError
            What is none of these.
        """
        k = len(legend)
        forbidden, least, dip = np.zeros((k, k), np.bool_), np.zeros((k, k)), 0.0
        for key, value in raw.items():
            if key == "max_dip":
                dip = _number(value, key)
            elif len(pair := _ARROW.split(str(key))) == 2:
                if str(value).strip().casefold() not in _NEVER:
                    raise UsageError(f"rule {key!r}: {value!r}", hint=f"'{key}: never'")
                for one in _positions(pair[0], legend):
                    forbidden[one, _positions(pair[1], legend)] = True
            elif isinstance(value, Mapping) and set(value) <= {"after", "min_years"} and "min_years" in value:
                for one in _positions(key, legend):
                    others = value.get("after")
                    named = (
                        legend.names if others is None else [others] if isinstance(others, str) else others
                    )
                    for other in (p for name in named for p in _positions(name, legend) if p != one):
                        least[other, one] = _number(value["min_years"], key)
            else:
                raise UsageError(
                    f"rule {key!r} is not understood",
                    why=f"found {value!r}",
                    hint="'max_dip: 1', 'forest: {after: [pasture], min_years: 5}', 'water -> urban: never'",
                )
        return cls(forbidden=forbidden, least=least, longest_dip=dip)

    def applied(self, classes: NDArray[np.uint8], years: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Sequences (T, n) with the fewest edits that keep the rules; unknown dates stay unknown.

        An edit puts another of the sequence's own classes at a date. Of equally few, the class that stood
        before stays. A sequence that keeps the rules is not touched, and one that cannot keep them by any
        edits is not either.

        Parameters
        ----------
        classes
            (T, n) uint8: positions, K for unknown.
        years
            (T,) float64: times of the dates.
        """
        rules = self.forbidden, self.least, self.longest_dip
        made: NDArray[np.uint8] = _applied(classes, years, rules)
        return made


def _positions(name: Any, legend: Legend) -> list[int]:
    return [legend.classes.index(c) for c in legend.find_all(name)]


def _number(value: Any, key: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < 1e6:
        raise UsageError(f"rule {key!r}: {value!r} is no number of years")
    return number


@kernel()
def _may(p, c, d, lasted, rules):  # type: ignore[no-untyped-def]
    """Whether class c, after p (-1 for none), may give way to d when it has lasted so many years."""
    forbidden, least, longest_dip = rules
    if forbidden[c, d]:
        return False
    if p < 0:
        return True
    if lasted < least[p, c] - _SLACK:
        return False
    return p != d or lasted > longest_dip + _SLACK


@kernel()
def _keeps(seq, when, rules):  # type: ignore[no-untyped-def]
    p, c, since = -1, seq[0], when[0]
    for t in range(1, seq.shape[0]):
        if seq[t] != c:
            if not _may(p, c, seq[t], when[t] - since, rules):
                return False
            p, c, since = c, seq[t], when[t]
    return True


@kernel("u1[:,:], f8[:], (b1[:,:], f8[:,:], f8)")
def _applied(classes, years, rules):  # type: ignore[no-untyped-def]
    dates, n = classes.shape
    unknown = rules[0].shape[0]
    out = classes.copy()
    at, seq, when = np.empty(dates, np.int64), np.empty(dates, np.int64), np.empty(dates)
    for i in range(n):
        m = 0
        for t in range(dates):
            if classes[t, i] != unknown:
                at[m], seq[m], when[m] = t, classes[t, i], years[t]
                m += 1
        if m < 2 or _keeps(seq[:m], when[:m], rules):
            continue
        edited = _fewest(seq[:m], when[:m], rules)
        for j in range(m):
            out[at[j], i] = edited[j]
    return out


@kernel()
def _fewest(seq, when, rules):  # type: ignore[no-untyped-def]
    """Sequence that keeps the rules with the fewest edits.

    A dynamic programme backwards over the dates. What may come next depends on the class, the one before it
    and the date since which it stands: these are the state.
    """
    m = seq.shape[0]
    own, k = np.empty(m, np.int64), 0
    for c in range(rules[0].shape[0]):
        for t in range(m):
            if seq[t] == c:
                own[k] = c
                k += 1
                break
    # cost[t, b, a, s]: edits from date t on, class a since date s, class b before it (b == k: none)
    far = 1 << 20
    cost = np.full((m, k + 1, k, m), far, np.int64)
    for t in range(m - 1, -1, -1):
        for a in range(k):
            edit = 1 if own[a] != seq[t] else 0
            for b in range(k + 1):
                p = -1 if b == k else own[b]
                for s in range(t + 1):
                    if t == m - 1:
                        cost[t, b, a, s] = edit
                        continue
                    least_on = cost[t + 1, b, a, s]
                    for d in range(k):
                        if d != a and cost[t + 1, a, d, t + 1] < least_on:
                            lasted = when[t + 1] - when[s]
                            if _may(p, own[a], own[d], lasted, rules):
                                least_on = cost[t + 1, a, d, t + 1]
                    cost[t, b, a, s] = edit + least_on
    out = seq.copy()
    best = 0
    for a in range(k):
        if cost[0, k, a, 0] < cost[0, k, best, 0] or (
            cost[0, k, a, 0] == cost[0, k, best, 0] and own[a] == seq[0]
        ):
            best = a
    if cost[0, k, best, 0] >= far:
        return out
    a, b, s = best, k, 0
    out[0] = own[a]
    for t in range(1, m):
        rest = cost[t - 1, b, a, s] - (1 if own[a] != seq[t - 1] else 0)
        if cost[t, b, a, s] == rest:  # the class that stood before stays
            out[t] = own[a]
            continue
        p = -1 if b == k else own[b]
        chosen = -1
        for d in range(k):
            if d == a or cost[t, a, d, t] != rest:
                continue
            if not _may(p, own[a], own[d], when[t] - when[s], rules):
                continue
            if chosen < 0 or own[d] == seq[t]:
                chosen = d
        b, a, s = a, chosen, t
        out[t] = own[a]
    return out
