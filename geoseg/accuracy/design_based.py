"""One estimator for probability samples: a ratio of two means over strata, with its design-based variance.

Overall, user's and producer's accuracy, F1, IoU, areas, cells of the error matrix and ratios of areas are
this estimator with different y and x (Stehman 2014, equations 2, 25, 27, 28). A simple random sample is one
stratum; a sample of clusters is one whose units are clusters, with y their totals and x their sizes; tiles or
clusters may be drawn in strata (`TwoStageSample`). With
strata that are the classes of the map, and without the correction for finite populations, it is Olofsson et
al. (2013, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.intervals import Estimate

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """What is known of the population.

    Attributes
    ----------
    sizes
        (H,) units in each stratum; infinity where that is not known, which leaves the correction out.
    areas
        (H,) area of each stratum, in any unit: what means are weighted by. Equal to `sizes` for equal units.
    """

    sizes: Numbers
    areas: Numbers

    @classmethod
    def of(cls, sizes: object, areas: object = None) -> Strata:
        """Strata of these sizes, and areas where units are not equal."""
        n = np.asarray(sizes, np.float64)
        return cls(sizes=n, areas=n if areas is None else np.asarray(areas, np.float64))

    @property
    def shares(self) -> Numbers:
        """(H,) share of the population's area."""
        shares: Numbers = self.areas / self.areas.sum()
        return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A labelled probability sample: every stratum holds at least one unit.

    Attributes
    ----------
    strata
        The population.
    stratum
        (n,) position of each unit's stratum.
    counts
        (..., n) how often each unit stands for itself: 1, or the cell counts of a table of equal units.
        Leading axes are independent samples (for simulations) and go before those of y and x.
    pixel_areas
        (n,) area of each unit where these differ; only their ratios matter.
    fpc
        Whether the variance knows that the population is finite.
    post_stratified
        Whether units were drawn without regard to the strata, by simple random sampling.
    """

    strata: Strata
    stratum: NDArray[np.int64]
    counts: Numbers
    pixel_areas: Numbers | None = None
    fpc: bool = True
    post_stratified: bool = False

    @classmethod
    def of_units(
        cls,
        strata: Strata,
        stratum: object,
        *,
        counts: object = None,
        pixel_areas: object = None,
        fpc: bool = True,
        post_stratified: bool = False,
    ) -> Sample:
        """Sample of units in these strata."""
        at = np.asarray(stratum, np.int64)
        return cls(
            strata=strata,
            stratum=at,
            counts=np.ones(len(at)) if counts is None else np.asarray(counts, np.float64),
            pixel_areas=None if pixel_areas is None else np.asarray(pixel_areas, np.float64),
            fpc=fpc,
            post_stratified=post_stratified,
        )

    @property
    def n(self) -> Numbers:
        """(..., H) units sampled in each stratum."""
        return self._sums(self.counts)

    def mean(self, y: Numbers) -> Ratio:
        """Mean of y (..., n) over the population; for y = 0 or 1 a share of its area."""
        return self.ratio(y, np.ones(len(self.stratum)))

    def ratio(self, y: Numbers, x: Numbers) -> Ratio:
        """Ratio of the totals of y and x, (..., n) each; NaN where x is nowhere in the sample."""
        counts, n = self._along(self.counts, y), self._along(self.n, y)
        size = np.ones(len(self.stratum)) if self.pixel_areas is None else self.pixel_areas
        whole = self._sums(counts * size)
        shares = self.strata.shares
        y_means, x_means = (self._sums(counts * size * v) / whole for v in (y, x))
        x_mean = (shares * x_means).sum(-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = (shares * y_means).sum(-1) / x_mean
            centre = y_means - value[..., None] * x_means
            residuals = y - value[..., None] * x - centre[..., self.stratum]
            residuals = residuals * size / (whole / n)[..., self.stratum]
            factors = self._factors(n)
            spread = self._sums(counts * residuals**2) / (n - 1)  # of a single unit unknown, unless it is all
            parts = np.where(factors == 0, 0.0, factors * spread) / x_mean[..., None] ** 2
        return Ratio(value=value, parts=parts)

    def with_halves(self, y: Numbers) -> tuple[Sample, Numbers]:
        """The sample and y (..., n) with half a unit of y = 1 and half a unit of y = 0 more in every stratum.

        Its variance stands for that of shares which few units carry: where no unit of a class was met in a
        stratum, the variance there is not zero. For equal units of one sample.
        """
        h = len(self.strata.sizes)
        own = np.arange(h)
        halves = np.full((*self.counts.shape[:-1], 2 * h), 0.5)
        areas = self.pixel_areas
        if areas is not None:
            mean = self._sums(self.counts * areas) / self.n
            areas = np.concatenate([areas, mean, mean])
        sample = replace(
            self,
            stratum=np.concatenate([self.stratum, own, own]),
            counts=np.concatenate([self.counts, halves], -1),
            pixel_areas=areas,
        )
        lead = y.shape[:-1]
        return sample, np.concatenate([y, np.ones((*lead, h)), np.zeros((*lead, h))], -1)

    def _factors(self, n: Numbers) -> Numbers:
        """(..., H) what the variance between the units of each stratum counts for."""
        shares, sizes = self.strata.shares, self.strata.sizes
        if self.post_stratified:  # Cochran (1977), equation 5A.42
            total = n.sum(-1, keepdims=True)
            left = 1 - total / sizes.sum() if self.fpc else np.ones_like(total)
            factors: Numbers = left * shares / total + (1 - shares) / total**2
        else:
            left = np.maximum(1 - n / sizes, 0) if self.fpc else np.ones_like(n)
            factors = shares**2 * left / n
        return factors

    def _sums(self, values: Numbers) -> Numbers:
        """(..., H) sums over the units of each stratum."""
        return _group_sums(values, self.stratum, len(self.strata.sizes))

    def _along(self, own: Numbers, y: Numbers) -> Numbers:
        """Own numbers (..., m) with an axis of 1 for every leading axis of y."""
        return own.reshape(*own.shape[:-1], *(1,) * (y.ndim - 1), own.shape[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Estimates with their variance by stratum.

    Attributes
    ----------
    value
        (...) estimates.
    parts
        (..., H) what each stratum adds to the variance.
    """

    value: Numbers
    parts: Numbers

    @property
    def se(self) -> Numbers:
        """(...) standard errors."""
        root: Numbers = np.sqrt(self.parts.sum(-1))
        return root

    def one(self, *at: int) -> Estimate:
        """The estimate at a position."""
        return Estimate(value=float(self.value[at]), se=float(self.se[at]))


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoStageSample:
    """A sample of units within tiles or clusters, both drawn at random, in one stratum of tiles or several.

    Attributes
    ----------
    tile
        (n,) position of each unit's tile among the T that were drawn.
    sizes
        (T,) units in each of these tiles.
    tiles
        The strata that the tiles were drawn in: their sizes are tiles, infinity where that is not known.
    stratum
        (T,) position of each tile's stratum; all are of one, if None.
    pixel_areas
        (n,) area of each unit where these differ.
    fpc
        Whether the variance knows that tiles and units are finite.
    """

    tile: NDArray[np.int64]
    sizes: Numbers
    tiles: Strata
    stratum: NDArray[np.int64] | None = None
    pixel_areas: Numbers | None = None
    fpc: bool = True

    @property
    def counts(self) -> Numbers:
        """(n,) ones."""
        return np.ones(len(self.tile))

    def mean(self, y: Numbers) -> Ratio:
        """Mean of y (..., n) over the population."""
        return self.ratio(y, np.ones(len(self.tile)))

    def ratio(self, y: Numbers, x: Numbers) -> Ratio:
        """Ratio of the totals of y and x, (..., n) each.

        Means of strata are ratios to the sizes of their tiles, weighted by the strata's areas; the variance
        is that of totals in two stages (Cochran 1977, equation 11.24) of what is left of the ratio. Where a
        tile has one labelled unit, it is that between tiles drawn with replacement, which is no smaller.
        """
        size = np.ones(len(self.tile)) if self.pixel_areas is None else self.pixel_areas
        at = np.zeros(len(self.sizes), np.int64) if self.stratum is None else self.stratum
        shares, drawn = self.tiles.shares, np.bincount(at, minlength=len(self.tiles.sizes)).astype(np.float64)
        labelled = self._sums(self.counts)
        scale = self.sizes / labelled

        def in_strata(of_tiles: Numbers) -> Numbers:
            return _group_sums(of_tiles, at, len(shares))

        whole = in_strata(scale * self._sums(size))
        with np.errstate(invalid="ignore", divide="ignore"):
            y_means, x_means = (in_strata(scale * self._sums(size * v)) / whole for v in (y, x))
            x_mean = (shares * x_means).sum(-1)
            value = (shares * y_means).sum(-1) / x_mean
            centre = y_means - value[..., None] * x_means
            residuals = size * (y - value[..., None] * x - centre[..., at[self.tile]])
            totals = self._sums(residuals)
            both = self.fpc and bool((labelled > 1).all())
            first = drawn / self.tiles.sizes if both else np.zeros(len(shares))
            second = labelled / self.sizes if both else np.ones(len(self.sizes))
            # of a single tile unknown, unless it is all
            between = (1 - first) * drawn * in_strata((scale * totals) ** 2) / (drawn - 1)
            between = np.where(first == 1, 0.0, between)
            spread = self._sums((residuals - (totals / labelled)[..., self.tile]) ** 2) / (labelled - 1)
            each = np.where(second < 1, self.sizes**2 * (1 - second) * spread / labelled, 0.0)
            parts = (shares / whole) ** 2 * (between + first * in_strata(each)) / x_mean[..., None] ** 2
        return Ratio(value=value, parts=parts)

    def _sums(self, values: Numbers) -> Numbers:
        return _group_sums(values, self.tile, len(self.sizes))


def _group_sums(values: Numbers, groups: NDArray[np.int64], many: int) -> Numbers:
    """(..., many) sums of (..., n) values by group; every group has at least one."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(many))
    sums: Numbers = np.add.reduceat(values[..., order], starts, axis=-1)
    return sums
