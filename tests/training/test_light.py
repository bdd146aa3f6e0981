"""Another light changes what it says, about the scene's own level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.training.batches import Batches
from geoseg.training.job import TrainJob
from geoseg.training.light import LIGHTS, Frame, Light
from geoseg.training.prepare import prepare
from tests.training.makers import job

RAW = torch.arange(1.0, 256).reshape(1, 15, 17)
factor = st.floats(0.5, 2)
DARK = 30.0


def frame(level: float = 60.0, *, mean: float = 50.0, std: float = 20.0) -> Frame:
    """That of one 8-bit band."""
    values = ((v - mean) / std for v in (0.0, level, 0.0, 255.0))
    zero, own, low, high = (torch.tensor(v).view(1, 1, 1) for v in values)
    return Frame(zero=zero, level=own, dark=torch.full_like(zero, DARK / std), low=low, high=high)


def lit(light: Light, level: float = 60.0, *, mean: float = 50.0, std: float = 20.0) -> torch.Tensor:
    """Raw values in another light."""
    return light.over((RAW - mean) / std, frame(level, mean=mean, std=std)) * std + mean


@given(contrast=factor, gamma=factor, gain=factor, clear=st.floats(0, 1))
def test_the_formula_in_raw_values(contrast: float, gamma: float, gain: float, clear: float) -> None:
    found = lit(Light(contrast=contrast, gamma=gamma, gain=gain, clear=clear))
    level, raw = 60 - clear * DARK, RAW.double() - clear * DARK
    curved = torch.where(raw > 0, level * (raw.clamp(min=0) / level) ** gamma, raw)
    expected = gain * (level + contrast * (curved - level))
    assert torch.allclose(found.double(), expected.clamp(0, 255), atol=0.02)


@given(contrast=factor, gamma=factor, level=st.floats(5, 200))
def test_the_level_stays(contrast: float, gamma: float, level: float) -> None:
    own = frame(level)
    assert torch.allclose(Light(contrast=contrast, gamma=gamma).over(own.level, own), own.level, atol=1e-4)


@given(light=st.builds(Light, contrast=factor, gamma=factor, gain=factor, haze=st.floats(0, 0.5)))
def test_order_and_range_are_kept_whatever_the_normalisation(light: Light) -> None:
    found = lit(light).flatten()
    assert torch.all(found.diff() >= -1e-3) and found.min() >= -1e-3 and found.max() <= 255.001
    hazeless = Light(contrast=light.contrast, gamma=light.gamma, gain=light.gain)
    assert torch.allclose(lit(hazeless, mean=5, std=3), lit(hazeless), atol=0.02)


def test_values_across_zero_and_a_level_of_zero_stay_finite() -> None:
    x = torch.linspace(-3, 3, 7).view(1, 1, 7)
    for level in (-1.0, 0.0, 1.0):
        wide = Frame(
            zero=0 * x[..., :1],
            dark=0 * x[..., :1],
            level=0 * x[..., :1] + level,
            low=x[..., :1],
            high=x[..., -1:],
        )
        found = Light(gamma=1.5).over(x, wide)
        across = x * level <= 0
        assert torch.isfinite(found).all() and torch.equal(found[across], x[across])


def test_the_grid_is_sixteen_lights_around_the_scene_as_it_is() -> None:
    assert len(set(LIGHTS)) == 16
    for name in ("contrast", "gamma", "gain"):
        logs = [float(np.log(getattr(light, name))) for light in LIGHTS]
        assert min(logs) < -0.2 and max(logs) > 0.2 and abs(np.mean(logs)) < 0.05


@pytest.mark.parametrize("light", [None, Light(gain=0.5), Light(contrast=0.5, haze=0.15)])
def test_validation_windows_in_another_light_are_whole_numbers_about_the_scenes_level(
    tmp_path: Path, light: Light | None
) -> None:
    preparation = prepare(TrainJob.parse(job(tmp_path)))
    batches, contract = Batches(preparation), preparation.contract
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (contract.mean, contract.std))
    core = preparation.cores[0]
    plain, classes = batches.core(core)
    x, same = batches.core(core, light)
    raw = x * std + mean
    assert torch.allclose(raw, raw.round(), atol=1e-3) and np.array_equal(same, classes)
    scene = preparation.sources[core.source].scene
    whole, _ = scene.read(scene.grid.window)
    tone = preparation.tones[core.source]
    assert tone.level == pytest.approx(whole.mean((1, 2)), abs=1)
    assert (tone.dark >= whole.min((1, 2))).all()
    assert (tone.dark <= np.quantile(whole, 0.01, axis=(1, 2))).all()  # of the darkest window
    if light is None:
        assert torch.equal(x, plain)
    elif not light.haze:
        assert torch.allclose(raw, ((plain * std + mean) * light.gain).round(), atol=1.001)
    else:
        assert raw.std() < 0.6 * (plain * std + mean).std()


def test_crops_in_another_light_hold_what_a_file_would_and_bands_that_are_dropped_hold_the_mean(
    tmp_path: Path,
) -> None:
    light = {"contrast": 0.5, "gain": 0.5, "clear": 0.9, "noise": 0.1, "drop_band": 0.3}
    preparation = prepare(TrainJob.parse(job(tmp_path, augment=light)))
    contract = preparation.contract
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (contract.mean, contract.std))
    assert np.dtype(contract.dtype).kind == "u"
    x, _ = Batches(preparation).at(0)
    dropped = (x == 0).all(dim=(2, 3))
    raw = (x * std + mean)[~dropped]
    assert dropped.any() and not dropped.all(dim=1).any()
    assert torch.allclose(raw, raw.round(), atol=2e-3)
