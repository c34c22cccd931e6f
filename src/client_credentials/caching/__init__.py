"""Where tokens are kept between strategies, processes and hosts.

- `memory`, `file`, `redis`: the caches that a program can name. `_directory` and `_locks` are for `file`.
- `bounded`: the bound around a cache that may fail or hang; `_circuit_breaker` keeps callers from one that does.
- `_state_cache`: what a strategy sees of any cache. `_fork`: what a forked child must not inherit.

A new cache has a module here, the methods of `protocols.CachingStrategy`, and its name in the package's `__init__`;
`testing.contracts.CachingContract` tests it. One whose methods neither raise nor hang is listed in
`_state_cache._BOUND_THEMSELVES`; all others get `bounded`.
"""
