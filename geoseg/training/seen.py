"""What a training showed its network: crops as it drew them, in all their lights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.models.experience import Experience, look_of
from geoseg.training.batches import Batches
from geoseg.training.light import has_data
from geoseg.training.prepare import Preparation

_MOST = 512


def experience_of(preparation: Preparation) -> Experience:
    """What at most 512 crops look like, evenly spread over the steps, but with no band taken away.

    A network that has learnt many lights is at home in them: what its scenes look like as they are would call
    unlike what it bears well.
    """
    job, batches = preparation.job, Batches(preparation)
    drawn = np.unique(np.linspace(0, job.steps * job.batch - 1, _MOST).round().astype(int)).tolist()
    looks = [_look(batches, *divmod(number, job.batch)) for number in drawn]
    return Experience.of(np.stack(looks), preparation.index.crop)


def _look(batches: Batches, step: int, number: int) -> NDArray[np.float64]:
    x = batches.crop(step, number)
    return look_of(x[:, has_data(x)].numpy())
