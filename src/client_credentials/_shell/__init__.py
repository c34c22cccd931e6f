"""What waits, locks, calls out and reads a clock; it has no rule of its own."""
