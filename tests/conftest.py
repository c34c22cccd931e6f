"""What holds for every test: examples take the time they need, on a busy machine too."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
