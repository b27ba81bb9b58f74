"""The parts of `experiments.throughput`."""
