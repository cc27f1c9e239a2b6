import types
from pathlib import Path

import pytest

import modules.training.logs.progress


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch):
    """The bar shows new numbers when some seconds have passed."""
    monkeypatch.setattr(modules.training.logs.progress, "time", types.SimpleNamespace(monotonic=lambda: 0.0))


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
