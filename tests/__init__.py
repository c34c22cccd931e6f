"""Where what is. Most files of `src/` have a test file of the same name; a law that crosses rooms has a folder.

- `core`, `shell`, `http`, `caching`: the tests of `_core/state.py` are in `core/test_state.py`, and so on. `value`,
  `chain` and `log` are tested through what uses them.
- `integrations`, `testing`, `cli`: by what a user does.
- Beside this page: the modules at the top of the package. But both strategies, `strategy` and `aio`, are tested in
  `shell/test_both.py`, and `protocols` by `typing` and the contracts.
- `faults`: crowds, event loops, echoes of secrets. `shell/test_seed_behaviour`: the SDK's rules, row by row.
  `servers`: popular token endpoints, emulated. `coverage_of_faults`: which test shows which known fault or rule.
- `explorer`: all orders of events in small worlds. `simulation`: fleets of hosts on one clock. Both drive the product.
- `leaks`: the watch over every test for secrets in sight. `mutation`: whether a test notices what is broken.
- `repository`: its own rules, the wheel, and how the tests run elsewhere: other Pythons, lowest dependencies, an sdist.
- `typing`, `readme`, `consumer`: the types, the documents, and what an SDK's author writes.
- `bench` measures; `oidc` needs npm.

`strategies` draws what hypothesis tests share; a `kit` has what the tests of its folder share.
"""
