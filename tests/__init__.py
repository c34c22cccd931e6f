"""Where what is. The tests of a file of `src/` are found by its path; a law that crosses rooms has a folder.

- `core`, `strategy` (the shell and both strategies), `http`, `caching`, `integrations`, `testing`, `cli`, and beside
  this page `test_*.py` for each module at the top of the package: what each room promises, by module.
- `faults`: crowds, event loops, echoes of secrets. `rfc`, `test_seed_behaviour`: the RFCs' rules and the SDK's rows.
  `servers`: popular token endpoints, emulated. `coverage_of_faults`: which test shows which known fault or rule.
- `explorer`: all orders of events in small worlds. `simulation`: fleets of hosts on one clock. Both drive the product.
- `leaks`: the watch over every test for secrets in sight. `mutation`: whether a test notices what is broken.
- `test_house`, `test_wheel`, `typing`, `readme`, `consumer`: the repository, the wheel, the types, the documents, and
  what an SDK's author writes.
- `oidc` needs npm; `bench` measures; `everywhere` and `release` run the tests elsewhere.

`strategies` draws what hypothesis tests share; a `kit` has what the tests of its folder share.
"""
