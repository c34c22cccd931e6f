"""Contracts for pytest: what the library expects of a cache or a strategy that a program brings itself.

    class TestMyCache(CachingContract):
        def make_cache(self):
            return MyCache(...)

Each test's docstring is the rule that it holds. This module needs pytest and hypothesis.
"""

from __future__ import annotations

from ._caching_contract import CachingContract
from ._strategy_contract import AuthStrategyContract

__all__ = ["AuthStrategyContract", "CachingContract"]
