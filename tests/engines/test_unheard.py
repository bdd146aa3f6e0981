"""Nothing that libraries say of themselves reaches the terminal, and nothing of the silence stays."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

from geoseg.engines.unheard import unheard


def test_warnings_and_messages_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with unheard():
        np.float32(3e38) * np.float32(3e38)  # a RuntimeWarning, which is an error in tests
        warnings.warn("of a library", UserWarning, stacklevel=1)
        logging.getLogger("library.part").warning("of a part")
        logging.getLogger("library.part").error("of a fault")
    assert [record.message for record in caplog.records] == ["of a fault"]


def test_afterwards_all_is_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    handlers = list(root.handlers)
    with pytest.raises(KeyError), unheard():
        raise KeyError
    assert root.handlers == handlers
    logging.getLogger("library").warning("heard again")
    assert caplog.messages == ["heard again"]
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)
