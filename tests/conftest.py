"""What holds for every test: examples take the time they need, on a busy machine too."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.leaks.watch import Watch

settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Watch every test for secrets and tokens that are left where somebody might read them."""
    watch = Watch()
    watch.install()
    config.pluginmanager.register(watch, "leaks")
