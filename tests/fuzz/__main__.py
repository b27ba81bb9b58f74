"""Coverage-guided fuzzing of one reader until it breaks or so many inputs have been tried.

    python -m tests.fuzz csv --inputs=200000

What was found worth keeping lies in out/fuzz/TARGET and is begun with the next time; an input that breaks something is
written to out/fuzz/ and named.
"""

import argparse
import os
import re
import sys
import warnings
from pathlib import Path

import atheris

PACKAGE = Path(__file__).parents[2] / "nids_jax"
NAMES = ["csv", "arff", "parquet", "compressed", "capture", "bundle", "checkpoint", "flags"]


def compiled_modules() -> list[str]:
    """The modules with functions that numba compiles: it knows nothing of the calls by which coverage is counted."""
    found = [path for path in PACKAGE.rglob("*.py") if re.search(r"^@(compiled|inlined)$", path.read_text(), re.M)]
    return [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in found]


def main() -> None:
    """Fuzz what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--inputs", type=int, default=200_000, help="inputs to try")
    parser.add_argument("--seconds", type=int, default=0, help="at most so long; 0: until all were tried")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations; 0 draws one")
    given = parser.parse_args()
    base = Path("out/fuzz")
    # Compiled loops check no index by themselves; here they do, and their cache is one of their own.
    os.environ.update(NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(base.resolve() / "compiled"))
    with atheris.instrument_imports(include=["nids_jax"], exclude=compiled_modules()):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[given.target]
    corpus, work = base / given.target, base / "work"
    corpus.mkdir(parents=True, exist_ok=True)
    work.mkdir(exist_ok=True)
    seeds = target.seeds()
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    warnings.simplefilter("error")  # as in the tests
    for seed in seeds:  # what is compiled meanwhile counts as no slow input
        target.read(seed, work)
    options = [f"-max_len={max(4096, *map(len, seeds))}", "-timeout=30", "-rss_limit_mb=2048", "-print_final_stats=1"]
    options += [f"-runs={given.inputs}", f"-seed={given.seed}", f"-artifact_prefix={base}/{given.target}-"]
    if given.seconds:
        options.append(f"-max_total_time={given.seconds}")
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: target.read(data, work))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
