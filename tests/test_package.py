"""What importing the package does."""

import importlib
import os

import pytest

import sr_utils


@pytest.mark.parametrize(("set_before", "after"), [(None, "10000"), ("77", "77")])
def test_threads_spin_for_a_short_time_unless_the_user_says_otherwise(monkeypatch, set_before, after) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if set_before:
        monkeypatch.setenv("GOMP_SPINCOUNT", set_before)
    importlib.reload(sr_utils)
    assert os.environ["GOMP_SPINCOUNT"] == after
