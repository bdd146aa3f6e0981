"""Augmentation changes what it says and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.training.augment import augment, paste, resize
from geoseg.training.job import Augmentation
from geoseg.training.light import Frame
from geoseg.training.targets import COPY

NONE = {"flips": False, "scale": 0, "gain": 0, "offset": 0}
ZERO = torch.tensor([-2.0, -1.0]).view(-1, 1, 1)
ONE = torch.ones(2, 1, 1)
FRAME = Frame(zero=ZERO, level=40 * ONE, dark=20 * ONE, low=-1000 * ONE, high=1000 * ONE)


def case() -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(64, dtype=torch.uint8).reshape(8, 8)
    return torch.stack([labels.float(), 100 + labels.float()]), labels


def test_flips_move_pixels_and_labels_together_and_all_eight_occur() -> None:
    seen = set()
    for seed in range(80):
        x, labels = case()
        how = Augmentation(**{**NONE, "flips": True})
        x, labels = augment(x, labels, how, np.random.default_rng(seed), frame=FRAME)
        assert torch.equal(x[0], labels.float()) and torch.equal(x[1], 100 + labels.float())
        seen.add(tuple(labels.flatten().tolist()))
    assert len(seen) == 8


def test_nothing_asked_nothing_changed() -> None:
    x, labels = case()
    same, kept = augment(x, labels, Augmentation(**NONE), np.random.default_rng(0), frame=FRAME)
    assert torch.equal(same, x) and torch.equal(kept, labels)


def test_a_gain_turns_around_raw_zero() -> None:
    """A band's raw value is scaled: x - zero grows by one factor, within the strength."""
    x, labels = case()
    brighter, _ = augment(
        x, labels, Augmentation(**{**NONE, "gain": 0.1}), np.random.default_rng(1), frame=FRAME
    )
    factor = (brighter - ZERO) / (x - ZERO)
    for band in factor:
        assert band.max() - band.min() < 1e-4
        assert np.exp(-0.15) < band.mean() < np.exp(0.15)


def test_bands_drop_out_but_never_all() -> None:
    dropped = np.zeros(3)
    for seed in range(60):
        x, labels = case()
        y, _ = augment(
            x, labels, Augmentation(**{**NONE, "drop_band": 1.0}), np.random.default_rng(seed), frame=FRAME
        )
        dropped[int((y.flatten(1) == 0).all(dim=1).sum())] += 1
    assert dropped.tolist() == [0, 60, 0]


def test_haze_pulls_towards_light_and_smooths_contrast() -> None:
    x, labels = torch.randn(2, 64, 64), torch.zeros(64, 64, dtype=torch.uint8)
    hazy, _ = augment(x, labels, Augmentation(**{**NONE, "haze": 0.8}), np.random.default_rng(3), frame=FRAME)
    assert hazy.mean() > x.mean() and hazy.std() < x.std()
    assert torch.all((hazy - x)[x < 2] >= -1e-5)


def test_noise_has_the_strength_asked_for() -> None:
    x, labels = torch.ones(2, 64, 64), torch.zeros(64, 64, dtype=torch.uint8)
    spreads = [
        augment(x, labels, Augmentation(**{**NONE, "noise": 0.2}), np.random.default_rng(s), frame=FRAME)[
            0
        ].std()
        for s in range(40)
    ]
    assert max(spreads) < 0.21 and float(np.mean(spreads)) == pytest.approx(0.1, abs=0.03)


def test_resizing_keeps_labels_whole_and_means() -> None:
    x = torch.rand(3, 40, 40)
    labels = torch.where(torch.arange(40) < 20, 3, 255).to(torch.uint8).expand(40, 40)
    y, small = resize(x, labels, 32)
    assert y.shape == (3, 32, 32) and set(small.unique().tolist()) == {3, 255}
    assert y.mean().item() == pytest.approx(x.mean().item(), abs=0.01)


def test_each_date_has_a_light_of_its_own() -> None:
    """Two dates of two bands: within a date the common draw is alike, between dates it is not."""
    strength, within, between = 0.1, [], []
    one = torch.ones(4, 1, 1)
    frame = Frame(zero=0 * one, level=one, dark=0 * one, low=-9 * one, high=9 * one)
    for seed in range(200):
        x, labels = torch.ones(4, 4, 4), torch.zeros(4, 4, dtype=torch.uint8)
        how = Augmentation(**{**NONE, "offset": strength, "dates": 2})
        y, _ = augment(x, labels, how, np.random.default_rng(seed), frame=frame)
        a, b, c, d = y[:, 0, 0].tolist()
        within += [a - b, c - d]
        between.append((a + b) / 2 - (c + d) / 2)
    assert np.abs(within).max() <= 0.8 * strength  # 0.4 of it to either side for each band
    assert np.corrcoef(within[::2], within[1::2])[0, 1] < 0.3
    # the difference of two uniform draws has a standard deviation of strength * sqrt(2/3)
    assert 0.6 * strength < np.std(between) < 1.1 * strength


@pytest.mark.parametrize("name", ["contrast", "gamma", "gain", "offset", "haze"])
def test_another_light_keeps_order_and_is_drawn_from_the_generator_alone(name: str) -> None:
    """Which of two pixels is the brighter in a band does not depend on a light that is the same for both."""
    x = torch.sort(torch.rand(2, 1, 64))[0].expand(2, 64, 64)
    labels = torch.zeros(64, 64, dtype=torch.uint8)
    how = Augmentation(**{**NONE, name: 0.5})
    first, again, other = (
        augment(x, labels, how, np.random.default_rng(seed), frame=FRAME)[0] for seed in (5, 5, 6)
    )
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, x)
    if name != "haze":  # which is uneven
        assert torch.all(first.diff(dim=2) >= 0)


def test_sensors_are_taken_away_whole_and_never_all_bands() -> None:
    x, labels = torch.ones(5, 4, 4), torch.zeros(4, 4, dtype=torch.uint8)
    frame = Frame(
        zero=torch.zeros(5, 1, 1),
        level=40 + torch.zeros(5, 1, 1),
        dark=torch.zeros(5, 1, 1),
        low=-ONE[:1],
        high=ONE[:1],
    )
    how = Augmentation(**{**NONE, "drop_sensor": 0.5})
    for sensors, ever in (
        ([(0, 3), (1,), (2, 4)], 7),
        ([(0, 3), (1,)], 4),
    ):  # the second leaves bands 2 and 4
        seen = set()
        for seed in range(200):
            y, _ = augment(x, labels, how, np.random.default_rng(seed), frame=frame, sensors=sensors)
            gone = tuple(i for i in range(5) if (y[i] == 0).all())
            assert torch.equal(y[[i for i in range(5) if i not in gone]], x[: 5 - len(gone)])
            assert all(set(s) <= set(gone) or not set(s) & set(gone) for s in sensors)
            seen.add(gone)
        assert len(seen) == ever and max(map(len, seen)) < 5


def test_contrasts_drawn_cover_a_span_of_four() -> None:
    """With 0.7: deviations from half to twice, and the level stays where it is."""
    x = torch.randn(2, 32, 32, generator=torch.Generator().manual_seed(1))
    frame = Frame(
        zero=-100 * ONE, level=x.mean((1, 2), keepdim=True), dark=0 * ONE, low=-100 * ONE, high=100 * ONE
    )
    labels, how = torch.zeros(32, 32, dtype=torch.uint8), Augmentation(**{**NONE, "contrast": 0.7})
    drawn = [augment(x, labels, how, np.random.default_rng(s), frame=frame)[0] for s in range(300)]
    factors = torch.stack([y.std((1, 2)) / x.std((1, 2)) for y in drawn])
    assert factors.min() < 0.55 and factors.max() > 1.8
    assert factors.log().mean().abs() < 0.1
    assert all(torch.allclose(y.mean((1, 2)), x.mean((1, 2)), atol=1e-4) for y in drawn)


def test_pasted_objects_lie_whole_in_turned_places_with_numbers_of_their_own() -> None:
    layer = torch.zeros(8, 8, dtype=torch.int32)
    layer[0:2, 1:4], layer[5:7, 0:2], layer[7, 7] = 1, 2, -1
    x = torch.arange(2 * 64, dtype=torch.float32).view(2, 8, 8)
    same, kept = paste(x, layer, torch.tensor([1, 2]), 0.0, np.random.default_rng(0))
    assert torch.equal(same, x) and torch.equal(kept, layer)
    pixels, numbers = paste(x, layer, torch.tensor([1]), 1.0, np.random.default_rng(0))
    laid = torch.zeros(8, 8, dtype=torch.bool)
    for turn in (3, 2, 1):  # the last one laid lies on top
        there = torch.rot90(layer, turn, (0, 1)) == 1
        mine = there & ~laid
        assert torch.equal(numbers == 1 + turn * COPY, mine) and mine.any()
        assert torch.equal(pixels[:, mine], torch.rot90(x, turn, (1, 2))[:, mine])
        laid |= there
    assert torch.equal(numbers[~laid], layer[~laid]) and torch.equal(pixels[:, ~laid], x[:, ~laid])


def test_a_tint_turns_around_raw_zero_and_differs_between_bands() -> None:
    x = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(2)) + 1
    frame = Frame(zero=0 * ONE, level=ONE, dark=0 * ONE, low=-100 * ONE, high=100 * ONE)
    labels, how = torch.zeros(8, 8, dtype=torch.uint8), Augmentation(**{**NONE, "tint": 0.7})
    drawn = [augment(x, labels, how, np.random.default_rng(s), frame=frame)[0] / x for s in range(100)]
    factors = torch.stack([f.mean((1, 2)) for f in drawn])
    assert all(torch.allclose(f, f.mean((1, 2), keepdim=True), atol=1e-5) for f in drawn)
    assert 0.49 < factors.min() < 0.55 and 1.85 < factors.max() < 2.02
    assert abs(np.corrcoef(factors.numpy().T)[0, 1]) < 0.3


def test_clearer_air_takes_of_the_darkest_values_and_brightens_at_most_as_much() -> None:
    air = torch.tensor([10.0, 30.0]).view(-1, 1, 1)
    frame = Frame(zero=0 * ONE, level=50 * ONE, dark=air, low=-1e3 * ONE, high=1e3 * ONE)
    x = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(2)) * 40 + 30
    labels, how = torch.zeros(8, 8, dtype=torch.uint8), Augmentation(**{**NONE, "clear": 0.9})
    same, bright = 0, []
    for seed in range(100):
        found = augment(x, labels, how, np.random.default_rng(seed), frame=frame)[0]
        if torch.allclose(found, x):
            same += 1
            continue
        factor = float((found[0].max() - found[0].min()) / (x[0].max() - x[0].min()))
        first, second = ((x - found / factor).mean((1, 2)) / air.flatten()).tolist()
        assert first == pytest.approx(second, abs=1e-3) and 0 < first < 0.9
        bright.append(factor * (50 - first * 20) / 50)
    assert 35 < same < 65
    assert 0.6 < min(bright) < 0.95 < max(bright) <= 1 + 1e-4
