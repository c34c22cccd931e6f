"""Where what is. The tests of a file of `src/` are found by its path; a law that crosses rooms has a folder.

- `core`, `strategy` (the shell and both strategies), `http`, `caching`, `integrations`, `testing`, `cli`, and beside
  this page `test_*.py` for each module at the top of the package: what each room promises, by module.
- `faults`: crowds, event loops, echoes of secrets. `rfc`: the RFCs' rules. `shell/test_seed_behaviour`: the SDK's.
  `servers`: popular token endpoints, emulated. `coverage_of_faults`: which test shows which known fault or rule.
- `explorer`: all orders of events in small worlds. `simulation`: fleets of hosts on one clock. Both drive the product.
- `leaks`: the watch over every test for secrets in sight. `mutation`: whether a test notices what is broken.
- `repository`: its own rules, the wheel, and how the tests run elsewhere: other Pythons, lowest dependencies, an sdist.
- `typing`, `readme`, `consumer`: the types, the documents, and what an SDK's author writes.
- `bench` measures; `oidc` needs npm.

`strategies` draws what hypothesis tests share; a `kit` has what the tests of its folder share.
"""
