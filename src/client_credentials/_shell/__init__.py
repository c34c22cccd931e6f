"""The imperative shell: what waits, locks, calls out and reads a clock; the rules are in the core."""
