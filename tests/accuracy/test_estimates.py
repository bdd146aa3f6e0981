"""Estimates equal the worked examples of the papers, to the last printed digit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from geoseg.accuracy.design_based import Sample, Strata, TwoStageSample
from geoseg.accuracy.disagreement import disagreement
from geoseg.accuracy.estimates import ESTIMATES, Labelled, bounds, thin_strata
from geoseg.accuracy.intervals import wilson, z_of
from tests.accuracy.samples import OLOFSSON_2014, labelled

Z = 1.96


def about(*values):
    """To half a unit of the last digit of the number that is written with the most digits."""
    return pytest.approx(values, abs=0.51 * 10 ** -max(len(f"{v!r}".partition(".")[2]) for v in values))


def of(sample, name):
    return next(e for e in ESTIMATES if e.name == name).of(sample)


def test_olofsson_2013_example_1():
    found = labelled([[97, 0, 3], [3, 279, 18], [2, 1, 97]], [22353, 1122543, 610228], fpc=False)
    cells = found.cells().value
    assert cells[0] == about(0.012354, 0, 0.000382)
    assert cells[1] == about(0.006396, 0.594810, 0.038375)
    assert cells[2] == about(0.006954, 0.003477, 0.337253)
    overall = found.overall().one()
    assert (overall.value, overall.se) == about(0.9444168, 0.0111644)
    users, producers, area = (of(found, name) for name in ("users", "producers", "area"))
    assert users.value == about(0.97, 0.93, 0.97)
    assert users.se == about(0.0171447, 0.0147555, 0.0171447)
    assert Z * users.se == about(0.03360, 0.02892, 0.03360)
    assert producers.value == about(0.480631, 0.994189, 0.896926)
    assert producers.se == about(0.1145585, 0.0057783, 0.0210236)
    assert Z * producers.se == about(0.22453, 0.01133, 0.04121)
    total = 22353 + 1122543 + 610228
    assert total * area.value == about(45112.4, 1050067.3, 659944.3)
    assert total * area.se == about(10751.4, 17652.0, 18635.9)
    assert Z * total * area.se == about(21072.8, 34598.0, 36526.3)
    assert area.one(0).times(total).interval(Z, high=total)[0] == pytest.approx(24039.6, abs=0.05)


def test_olofsson_2013_example_2():
    found = labelled([[127, 66, 54], [2, 322, 17], [0, 15, 540]], [0.007, 0.295, 0.698], fpc=False)
    overall = found.overall().one()
    assert overall.value == pytest.approx(0.9612974, abs=5.1e-8)
    assert overall.half(Z) == pytest.approx(0.011864, abs=5.1e-7)
    users, producers, area = (of(found, name) for name in ("users", "producers", "area"))
    assert users.value == about(0.51417, 0.944282, 0.972973)
    assert Z * users.se == about(0.06246, 0.02438, 0.01350)
    assert producers.value == about(0.675347, 0.930720, 0.976650)
    assert Z * producers.se == about(0.30459, 0.02938, 0.00960)
    assert area.value == about(0.005329, 0.299298, 0.695372)
    assert area.se == about(0.0012418, 0.0060524, 0.0059400)


def test_olofsson_2014():
    plain, finite = (labelled(*OLOFSSON_2014, fpc=fpc) for fpc in (False, True))
    users, producers, area = (of(plain, name) for name in ("users", "producers", "area"))
    assert users.value == about(0.88, 0.733333, 0.927273, 0.963077)
    assert Z * users.se == about(0.07404, 0.10076, 0.03975, 0.02053)
    assert producers.value == about(0.748661, 0.847156, 0.934509, 0.961609)
    assert Z * producers.se == about(0.21331, 0.25441, 0.03432, 0.01836)
    assert producers.se == about(0.1088316, 0.1298002, 0.0175125, 0.0093681)
    assert of(finite, "producers").se == about(0.1088287, 0.1297968, 0.0175120, 0.0093679)
    hectares = 0.09 * 10_000_000
    assert hectares * area.value == about(21157.762, 11686.154, 285769.930, 581386.154)
    assert Z * hectares * area.se == about(6157.634, 3755.826, 15509.836, 16281.656)
    assert z_of(0.95) * hectares * area.se == about(6157.521, 3755.757, 15509.551, 16281.357)
    overall = plain.overall().one()
    assert (overall.value, overall.se) == about(0.9465119, 0.0094304)
    assert overall.half(Z) == pytest.approx(0.018484, abs=5.1e-7)
    assert plain.cells().value[2] == about(0.001939, 0, 0.296727, 0.021333)
    assert plain.cells().value[3] == about(0.003969, 0.001985, 0.017862, 0.621185)
    loss_of_forest = plain.share_of([0], [0, 2])
    assert (loss_of_forest.value, loss_of_forest.se) == about(0.0689340, 0.0099221)


def test_unweighted_counts_of_an_unequal_sample_say_something_else():
    counts = np.array(OLOFSSON_2014[0])
    assert np.trace(counts) / counts.sum() == pytest.approx(0.917188, abs=5e-7)
    assert counts[0, 0] / counts[:, 0].sum() == pytest.approx(0.956522, abs=5e-7)


def test_disagreement_from_shares():
    parts = disagreement(labelled(*OLOFSSON_2014).cells().value)
    assert parts.whole == {
        "total": pytest.approx(0.053488, abs=5e-7),
        "quantity": pytest.approx(0.004493, abs=5e-7),
        "allocation": pytest.approx(0.048995, abs=5e-7),
        "exchange": pytest.approx(0.044492, abs=5e-7),
        "shift": pytest.approx(0.004503, abs=5e-7),
    }


@pytest.mark.parametrize(
    ("matrix", "total", "quantity", "exchange", "shift"),
    [
        ([[3, 1, 2], [2, 3, 0], [1, 3, 1]], (9, 2, 7, 4, 3), (0, 2, 2), (4, 2, 2), (2, 2, 2)),
        (
            [[38597, 5793, 657], [65, 16934, 113], [229, 1013, 2135]],
            (7870, 6628, 1242, 814, 428),
            (6156, 6628, 472),
            (588, 356, 684),
            (0, 0, 856),
        ),
    ],
)
def test_disagreement_by_class(matrix, total, quantity, exchange, shift):
    parts = disagreement(np.array(matrix))
    assert tuple(parts.whole.values()) == total
    assert tuple(parts.quantity) == quantity
    assert tuple(parts.exchange) == exchange
    assert tuple(parts.shift) == shift
    assert tuple(parts.allocation) == tuple(np.add(exchange, shift))


STEHMAN_MAP = "AAAAAAABBBABBBBBBBBBBBCCCCCCBBDDDDDDDDDD"
STEHMAN_REFERENCE = "AAAAACBABCABBBBBAABBCCCCCDDBBADDDDDDDCCB"


def stehman(fpc):
    strata = Strata.of([40000, 30000, 20000, 10000])
    sample = Sample.of_units(strata, np.repeat(np.arange(4), 10), fpc=fpc)
    mapped, truth = (["ABCD".index(c) for c in row] for row in (STEHMAN_MAP, STEHMAN_REFERENCE))
    return Labelled.of(sample, mapped, truth, 4)


@pytest.mark.parametrize(
    ("name", "value", "finite", "plain"),
    [
        (
            "area",
            (0.35, 0.34, 0.20, 0.11),
            (0.0822478, 0.0758531, 0.0642798, 0.0307222),
            (0.0822598, 0.0758654, 0.0642910, 0.0307318),
        ),
        (
            "users",
            (0.7419355, 0.5744681, 0.5, 0.7),
            (0.1645420, 0.1247822, 0.2151119, 0.1526761),
            (0.1645627, 0.1248023, 0.2151657, 0.1527525),
        ),
        (
            "producers",
            (0.6571429, 0.7941176, 0.3, 0.6363636),
            (0.1477101, 0.1165479, 0.1504108, 0.1622797),
            (0.1477318, 0.1165671, 0.1504438, 0.1623242),
        ),
        (
            "f1",
            (0.6969697, 0.6666667, 0.375, 0.6666667),
            None,
            (0.1282960, 0.1002029, 0.1613113, 0.1287357),
        ),
        (
            "iou",
            (0.5348837, 0.5, 0.2307692, 0.5),
            None,
            (0.1511243, 0.1127283, 0.1221766, 0.1448277),
        ),
    ],
)
def test_stehman_2014_where_strata_are_not_classes(name, value, finite, plain):
    assert of(stehman(False), name).value == pytest.approx(value, abs=5.1e-8)
    assert of(stehman(False), name).se == about(*plain)
    if finite is not None:
        assert of(stehman(True), name).se == about(*finite)


def test_stehman_2014_over_all():
    finite, plain = stehman(True), stehman(False)
    assert finite.overall().one().value == pytest.approx(0.63)
    assert (finite.overall().one().se, plain.overall().one().se) == about(0.0846422, 0.0846562)
    expected = [[0.23, 0.04, 0.04, 0], [0.12, 0.27, 0.08, 0], [0, 0.02, 0.06, 0.04], [0, 0.01, 0.02, 0.07]]
    assert finite.cells().value == pytest.approx(np.array(expected))


BUFFER = [[271, 3, 1], [6, 193, 1], [2, 1, 27], [23, 0, 7]]
METRES = [625597113080, 462219395097, 15594353281, 32599448433]


def test_strata_with_a_buffer():
    printed_shares = np.array([0.551, 0.407, 0.0137, 0.0287])  # they add to 1.0004
    whole = printed_shares.sum()
    area = of(labelled(BUFFER, printed_shares, fpc=False, classes=3), "area")
    assert whole * area.value == about(0.57811, 0.39922, 0.02307)
    assert whole * area.se == about(0.0067520, 0.0063466, 0.0037174)
    assert Z * whole * area.se == about(0.0132339, 0.0124393, 0.0072862)
    # the buffer is forest on the map
    found = labelled(BUFFER, METRES, fpc=False, classes=3, mapped=[0, 1, 2, 0])
    area, hectares = of(found, "area"), sum(METRES) / 1e4
    assert area.value == about(0.57781, 0.39910, 0.02309)
    assert area.se == about(0.0067496, 0.0063443, 0.0037166)
    assert hectares * area.value == about(65639663.5, 45338622.4, 2622745.1)
    assert Z * hectares * area.se == about(1502862.4, 1412605.0, 827541.2)
    overall = found.overall().one()
    assert (overall.value, overall.se) == about(0.969681, 0.007045)
    users, producers = of(found, "users"), of(found, "producers")
    assert users.value == about(0.974618, 0.965, 0.9)
    assert users.se == about(0.007899, 0.013028, 0.055709)
    assert producers.value == about(0.977291, 0.983801, 0.535123)
    assert producers.se == about(0.008393, 0.008596, 0.085697)
    # as if no class of the map were that of the buffer
    always_wrong = labelled(BUFFER, printed_shares, fpc=False, classes=3, mapped=[0, 1, 2, -1])
    assert whole * always_wrong.overall().one().value == pytest.approx(0.94807, abs=5e-6)
    assert of(always_wrong, "producers").value[0] == pytest.approx(0.939, abs=5e-4)


TINIGUA = [145078.56, 5703.75, 64029.69]
SIMPLE, SYSTEMATIC = [[325, 0, 15], [0, 17, 0], [7, 1, 135]], [[349, 0, 27], [0, 7, 6], [12, 1, 176]]


def one_stratum(counts):
    """The same table as a simple random sample, whose map classes are no strata."""
    k = len(counts)
    mapped, truth = (np.repeat(range(k), k), np.tile(range(k), k))
    sample = Sample.of_units(
        Strata.of([sum(TINIGUA) / 0.09]), np.zeros(k * k), counts=np.ravel(counts), fpc=False
    )
    return Labelled.of(sample, mapped, truth, k)


def test_tinigua_stratified():
    found = labelled([[287, 1, 25], [3, 43, 4], [11, 1, 127]], np.array(TINIGUA) / 0.09, fpc=False)
    area = of(found, "area")
    assert sum(TINIGUA) * area.value == about(138436.629, 5829.380, 70545.991)
    assert sum(TINIGUA) * area.se == about(2709.378, 712.020, 2711.107)
    assert (found.overall().one().value, found.overall().one().se) == about(0.91445, 0.01280)
    assert of(found, "producers").se == about(0.01032, 0.09464, 0.02656)


@pytest.mark.parametrize(
    ("counts", "hectares", "se", "overall"),
    [
        (SIMPLE, (142635.168, 7733.232, 64443.600), (4542.155, 1791.423, 4406.745), (0.954, 0.00938)),
        (SYSTEMATIC, (134164.588, 2973.176, 77674.235), (4330.383, 1044.781, 4296.642), (0.92042, 0.01127)),
    ],
)
def test_tinigua_simple_random(counts, hectares, se, overall):
    found = one_stratum(counts)
    area = of(found, "area")
    assert sum(TINIGUA) * area.value == about(*hectares)
    assert sum(TINIGUA) * area.se == about(*se)
    assert (found.overall().one().value, found.overall().one().se) == about(*overall)


@pytest.mark.parametrize(
    ("counts", "hectares", "se", "overall"),
    [
        (SIMPLE, (141812.356, 6151.510, 66848.134), (1983.569, 439.630, 2027.009), (0.95353, 0.00944)),
        (SYSTEMATIC, (138726.062, 3410.031, 72675.907), (2243.792, 856.347, 2398.290), (0.91875, 0.01116)),
    ],
)
def test_tinigua_post_stratified(counts, hectares, se, overall):
    found = labelled(counts, np.array(TINIGUA) / 0.09, fpc=False, post_stratified=True)
    area = of(found, "area")
    assert sum(TINIGUA) * area.value == about(*hectares)
    assert sum(TINIGUA) * area.se == about(*se)
    assert (found.overall().one().value, found.overall().one().se) == about(*overall)


def test_what_other_tools_print_is_told_apart():
    """Formulas that differ from ours give the figures that these tools print."""
    simple = one_stratum(SIMPLE)
    n, population = np.sum(SIMPLE), 2_386_800
    se = sum(TINIGUA) * of(simple, "area").se[0] * np.sqrt((n - 1) / n * (population - n) / (population - 1))
    assert se == pytest.approx(4537.136, abs=6e-4)
    # a simple random sample taken for a stratified one
    stratified = labelled(SIMPLE, np.array(TINIGUA) / 0.09, fpc=False)
    assert stratified.overall().one().se == pytest.approx(0.00948, abs=6e-6)
    # F1 of user's and producer's accuracy as if these were independent
    sample = stehman(False)
    (u, p), (su, sp) = (
        [getattr(of(sample, name), what)[0] for name in ("users", "producers")] for what in ("value", "se")
    )
    f1 = 2 * u * p / (u + p)
    assert f1**2 / 2 * np.sqrt((su / u**2) ** 2 + (sp / p**2) ** 2) == pytest.approx(0.11035, abs=6e-6)
    # 14 of 100 by simple random sampling
    few = Sample.of_units(Strata.of([np.inf], [1.0]), np.zeros(100)).mean((np.arange(100) < 14) * 1.0).one()
    assert few.se**2 == pytest.approx(0.0012162, abs=6e-8)
    assert few.half(Z) == pytest.approx(0.0684, abs=6e-5)
    assert few.half(Z) / few.value == pytest.approx(0.488, abs=6e-4)


def test_card_1982():
    found = labelled([[410, 26], [67, 369]], [828837, 33067283], fpc=False)
    assert found.cells().value.ravel() == about(0.0229941, 0.0014582, 0.1499122, 0.8256356)
    assert of(found, "area").value == about(0.1729063, 0.8270937)
    overall = found.overall().one()
    assert overall.value == pytest.approx(0.8486297, abs=5.1e-8)
    assert overall.se == pytest.approx(0.01687046, abs=5.1e-9)
    assert Z * overall.se == pytest.approx(0.03306609, abs=2e-8)
    assert of(found, "users").value == about(0.9403670, 0.8463303)
    assert of(found, "producers").value == about(0.1329860, 0.9982370)
    # with n - 1; Card himself divides by n
    assert of(found, "users").se == about(0.01135396, 0.01729097)
    assert of(found, "producers").se == about(0.01304815, 0.00033700)
    assert of(found, "users").se * np.sqrt(435 / 436) == about(0.01134094, 0.01727113)


def test_clusters_are_units_of_the_same_estimator():
    totals = np.array([3, 0, 5, 9, 1, 0, 2, 7, 4, 0, 6, 3.0])
    sample = Sample.of_units(Strata.of([400]), np.zeros(12))
    found = sample.ratio(totals, np.full(12, 9.0)).one()
    assert (found.value, found.se) == about(0.3703704, 0.0936472)
    alone = Sample.of_units(Strata.of([np.inf], [1.0]), np.zeros(108)).mean((np.arange(108) < 40) * 1.0).one()
    assert alone.se == pytest.approx(0.0466841, abs=6e-8)
    unequal = Sample.of_units(Strata.of([60]), np.zeros(6))
    found = unequal.ratio(np.array([12, 3, 0, 8, 20, 5.0]), np.array([25, 16, 9, 25, 25, 20.0])).one()
    assert (found.value, found.se) == about(0.4, 0.1030243)


def test_two_stages():
    y = np.concatenate([np.arange(10) < k for k in (2, 5, 0, 7, 4)]).astype(float)
    sample = TwoStageSample(tile=np.repeat(np.arange(5), 10), sizes=np.full(5, 100.0), tiles=Strata.of([50]))
    found = sample.mean(y).one()
    assert (found.value, found.se) == about(0.36, 0.1161206)
    # all units of five tiles are a sample of clusters
    whole = TwoStageSample(tile=np.repeat(np.arange(5), 10), sizes=np.full(5, 10.0), tiles=Strata.of([50]))
    clusters = Sample.of_units(Strata.of([50]), np.zeros(5)).mean(np.array([2, 5, 0, 7, 4]) / 10).one()
    found = whole.mean(y).one()
    assert (found.value, found.se) == (pytest.approx(clusters.value), pytest.approx(clusters.se))


def test_variance_of_two_stages_is_that_of_repeated_draws():
    rng = np.random.default_rng(3)
    tiles = [
        (rng.random(m) < p).astype(float)
        for m, p in zip(rng.integers(20, 60, 40), rng.random(40), strict=True)
    ]
    truth = np.concatenate(tiles).mean()
    found = []
    for _ in range(400):
        drawn = rng.choice(40, 12, replace=False)
        y = np.concatenate([rng.choice(tiles[t], 6, replace=False) for t in drawn])
        sizes = np.array([len(tiles[t]) for t in drawn], float)
        sample = TwoStageSample(tile=np.repeat(np.arange(12), 6), sizes=sizes, tiles=Strata.of([40]))
        found.append(sample.mean(y).one())
    values, errors = np.array([(e.value, e.se) for e in found]).T
    assert values.mean() == pytest.approx(truth, abs=0.015)
    assert values.std() == pytest.approx(np.sqrt((errors**2).mean()), rel=0.12)


def test_clusters_and_tiles_in_strata_are_as_independent_samples_of_each_stratum():
    rng = np.random.default_rng(8)
    sizes = np.array([25, 16, 9, 25, 25, 20, 9, 9, 9.0])
    at = np.array([0] * 6 + [1] * 3)
    areas = np.array([6000.0, 2000.0])
    tile = np.repeat(np.arange(9), sizes.astype(int))
    y = (rng.random(len(tile)) < 0.4).astype(float)
    alone = [
        TwoStageSample(tile=tile[m] - tile[m][0], sizes=sizes[at == h], tiles=Strata.of([n])).mean(y[m])
        for h, n in ((0, 60), (1, 40))
        for m in [at[tile] == h]
    ]
    strata = Strata.of([60, 40], areas)
    found = TwoStageSample(tile=tile, sizes=sizes, tiles=strata, stratum=at).mean(y).one()
    shares = areas / areas.sum()
    assert found.value == pytest.approx(sum(w * e.value for w, e in zip(shares, alone, strict=True)))
    assert found.se == pytest.approx(
        np.sqrt(sum((w * e.se) ** 2 for w, e in zip(shares, alone, strict=True)))
    )


def test_variance_of_two_stages_in_strata_is_that_of_repeated_draws():
    rng = np.random.default_rng(4)
    tiles = [
        (rng.random(m) < p).astype(float)
        for m, p in zip(rng.integers(20, 60, 60), rng.random(60), strict=True)
    ]
    strata = Strata.of([40, 20], [sum(map(len, tiles[:40])), sum(map(len, tiles[40:]))])
    truth, found = np.concatenate(tiles).mean(), []
    for _ in range(400):
        drawn = [*rng.choice(40, 10, replace=False), *(40 + rng.choice(20, 6, replace=False))]
        y = np.concatenate([rng.choice(tiles[t], 6, replace=False) for t in drawn])
        sizes = np.array([len(tiles[t]) for t in drawn], float)
        sample = TwoStageSample(
            tile=np.repeat(np.arange(16), 6), sizes=sizes, tiles=strata, stratum=np.array([0] * 10 + [1] * 6)
        )
        found.append(sample.mean(y).one())
    values, errors = np.array([(e.value, e.se) for e in found]).T
    assert values.mean() == pytest.approx(truth, abs=0.015)
    assert values.std() == pytest.approx(np.sqrt((errors**2).mean()), rel=0.12)


def test_wilson():
    z = z_of(0.95)
    assert wilson(17, 17, z) == about(0.81568, 1)
    assert wilson(66, 75, z) == about(0.78740, 0.93557)
    assert wilson(0, 30, z) == about(0, 0.11351)


def test_all_samples_of_a_small_population_are_unbiased_in_estimate_and_variance():
    first, second = np.array([1, 0, 0, 1, 1.0]), np.array([0, 1, 0, 0.0])
    strata, at = Strata.of([5, 4]), [0, 0, 0, 1, 1]
    found = [
        Sample.of_units(strata, at).mean(np.array([*a, *b])).one()
        for a in itertools.combinations(first, 3)
        for b in itertools.combinations(second, 2)
    ]
    values = np.array([e.value for e in found])
    assert len(found) == 60
    assert values.mean() == pytest.approx(4 / 9)
    assert (
        values.var() == pytest.approx(np.mean([e.se**2 for e in found])) == pytest.approx(0.0246914, abs=5e-8)
    )


def test_a_stratum_taken_whole_adds_no_variance():
    sample = Sample.of_units(Strata.of([3, 1]), [0, 0, 0, 1])
    assert sample.mean(np.array([1.0, 0, 1, 1])).one().se == 0.0


def test_pixels_of_unequal_area():
    """Of equal pixels the weights change nothing; a mean over all pixels is that of their areas."""
    y, at = np.array([1, 0, 1, 1, 0, 0.0]), [0, 0, 0, 1, 1, 1]
    strata = Strata.of([100, 50])
    plain, equal = (Sample.of_units(strata, at, pixel_areas=a).mean(y).one() for a in (None, np.full(6, 7.0)))
    assert (plain.value, plain.se) == pytest.approx((equal.value, equal.se))
    areas = np.array([1, 2, 3, 4, 5, 6.0])
    every = Sample.of_units(Strata.of([3, 3], [6, 15]), at, pixel_areas=areas).mean(y).one()
    assert (every.value, every.se) == (pytest.approx((1 + 3 + 4) / 21), 0.0)


def test_variance_of_unequal_pixels_is_that_of_repeated_draws():
    rng = np.random.default_rng(7)
    areas = rng.uniform(1, 3, 4000)
    y = (rng.random(4000) < areas / 5).astype(float)
    draws = np.array([rng.choice(4000, 400, replace=False) for _ in range(400)])
    strata = Strata.of([4000], [areas.sum()])
    found = [Sample.of_units(strata, np.zeros(400), pixel_areas=areas[d]).mean(y[d]).one() for d in draws]
    values, errors = np.array([(e.value, e.se) for e in found]).T
    assert values.mean() == pytest.approx((areas * y).sum() / areas.sum(), abs=0.003)
    assert values.std() == pytest.approx(np.sqrt((errors**2).mean()), rel=0.1)


def test_warning_where_few_units_carry_the_variance():
    warned = {(t.of_class, t.stratum, t.units) for t in thin_strata(labelled(*OLOFSSON_2014))}
    assert warned == {(0, 3, 2), (1, 2, 0), (1, 3, 1)}


def test_bounds_of_what_nobody_could_label():
    sample = Sample.of_units(Strata.of([10, 10]), [0, 0, 0, 1, 1])
    unknown = np.array([False, False, True, False, False])
    found = bounds(Labelled.of(sample, [0, 0, 0, 1, 1], [0, 0, -1, 1, 0], 2), unknown)
    assert found.overall == pytest.approx(((2 / 3 + 1 / 2) / 2, (1 + 1 / 2) / 2))
    assert found.users.tolist() == [pytest.approx([2 / 3, 1]), pytest.approx([1 / 2, 1 / 2])]
    assert found.area.tolist() == [pytest.approx([7 / 12, 3 / 4]), pytest.approx([1 / 4, 5 / 12])]
