"""What holds for every test: examples take the time they need, on a busy machine too, and are the same each time.

HYPOTHESIS_PROFILE=deep looks at thousands of new ones instead, =mutants shrinks none, =lean looks at five.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, Phase, settings

from client_credentials.testing import TokenServer
from tests.http.loopback import CLIENT
from tests.leaks.watch import Watch

_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("default", _PATIENT, derandomize=True, max_examples=30)
settings.register_profile("deep", _PATIENT, max_examples=5000)
_BRIEF = settings(_PATIENT, phases=[Phase.explicit, Phase.generate])  # the first failure says enough
settings.register_profile("mutants", _BRIEF, derandomize=True, database=None, max_examples=30)
settings.register_profile("lean", _BRIEF, derandomize=True, database=None, max_examples=5)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Watch every test for secrets and tokens left where somebody might read them."""
    if not config.pluginmanager.is_blocked("leaks"):
        watch = Watch()
        watch.install()
        config.pluginmanager.register(watch, "leaks")


@pytest.fixture
def server() -> Generator[TokenServer]:
    """Give a token server that knows one client."""
    with TokenServer(*CLIENT) as running:
        yield running
