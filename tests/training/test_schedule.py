"""Learning rates against torch's schedulers; the running average."""

from __future__ import annotations

import pytest
import torch

from geoseg.training.schedule import average_into, rate_factor


def test_one_cycle_is_torchs() -> None:
    steps, warmup = 200, 0.15
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=1.0, total_steps=steps, pct_start=warmup, final_div_factor=1e4
    )
    for step in range(steps):
        ours = rate_factor(step, steps, schedule="one_cycle", warmup=warmup)
        assert ours == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        theirs.step()
    assert ours == pytest.approx(4e-6)


def test_cosine_rises_to_one_and_falls_to_zero() -> None:
    rates = [rate_factor(s, 100, schedule="cosine", warmup=0.1) for s in range(100)]
    assert rates[9] == pytest.approx(1) and max(rates) == pytest.approx(1)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0)


def test_constant_without_warmup_is_constant() -> None:
    assert {rate_factor(s, 50, schedule="constant", warmup=0) for s in range(50)} == {1.0}


def test_the_average_of_a_constant_is_the_constant_and_zero_decay_copies() -> None:
    average, value = torch.zeros(3), torch.full((3,), 5.0)
    average_into([average], [value], step=0, decay=0)
    assert torch.equal(average, value)
    average = torch.zeros(3)
    for step in range(400):
        average_into([average], [value], step=step, decay=0.9)
    assert torch.allclose(average, value)
    count = torch.tensor(0)
    average_into([count], [torch.tensor(7)], step=500, decay=0.999)
    assert count == 7  # integer buffers are copied, not averaged
