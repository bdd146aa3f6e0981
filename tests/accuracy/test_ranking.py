"""The area under the ROC curve, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from geoseg.accuracy.ranking import auroc


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_as_scikit_learn_has_it_ties_included(pairs: list[tuple[int, bool]]) -> None:
    score, failed = (np.array(part) for part in zip(*pairs, strict=True))
    found = auroc(score.astype(np.float64), failed)
    if len(set(failed.tolist())) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(failed, score))
