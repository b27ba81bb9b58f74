"""The experiments: each a frozen dataclass that says what to run, and a `run` that reads as the protocol does."""
