"""How far people agree on what they see: between interpreters, never of a map.

Cohen, J. (1960), Educational and Psychological Measurement 20, 37-46; Fleiss, J. L. (1971), Psychological
Bulletin 76, 378-382.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence


def agreement(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Share of the units of which two say the same."""
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Agreement of two beyond chance; None where all is one class, of which chance explains everything."""
    n = len(first)
    one, other = Counter(first), Counter(second)
    chance = sum(one[k] * other[k] for k in one) / n**2
    return None if chance == 1 else (agreement(first, second) - chance) / (1 - chance)


def fleiss_kappa(answers: Sequence[Sequence[Hashable]]) -> float | None:
    """Agreement of several beyond chance, of units that all of them answered; None as in `cohen_kappa`."""
    n, m = len(answers), len(answers[0])
    totals: Counter[Hashable] = Counter()
    observed = 0.0
    for unit in answers:
        counts = Counter(unit)
        totals += counts
        observed += (sum(c * c for c in counts.values()) - m) / (m * (m - 1))
    chance = sum((c / (n * m)) ** 2 for c in totals.values())
    return None if chance == 1 else (observed / n - chance) / (1 - chance)
