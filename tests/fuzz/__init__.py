"""Whatever bytes a reader meets, it gives rows or packets, or one sentence.

`make fuzz` searches for inputs that break this, guided by coverage (atheris, on Linux); `test_mutations` tries some
mutations of valid inputs, the same ones each time.
"""
