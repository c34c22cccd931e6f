"""The caching strategies on a real Redis, real files and real processes, line by line of the list of faults."""
