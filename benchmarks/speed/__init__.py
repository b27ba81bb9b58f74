"""The parts of `benchmarks.throughput`."""
