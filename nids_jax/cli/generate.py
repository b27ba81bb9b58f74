"""Generate any number of flows with a trained CDDPM, to Parquet or CSV files.

    nids_jax generate --checkpoint=out/demo/runs/shots5-split0/cddpm --rows=1000000 --output_dir=flows

The rows are in raw units, sorted by class, and depend on the model, --seed and the classes' counts alone: not on the
devices, the processes or the number of files.  A file is whole or absent, and the same command goes on where a killed
one stopped.  Several processes, each with the same flags and its own --process_id, share the files among them, on one
machine or on several with a common folder.
"""

from pathlib import Path
from typing import cast

import jax
from absl import flags

from nids_jax import bulk
from nids_jax.cli import frame, sampling
from nids_jax.data.sampling_strategy import parse_rows
from nids_jax.errors import InputError
from nids_jax.runtime import CompileClock, cores

flags.adopt_module_key_flags(sampling)
_CHECKPOINT = flags.DEFINE_string("checkpoint", None, "Folder of a trained CDDPM: RUN/runs/shots5-split0/cddpm.")
_ROWS = flags.DEFINE_integer("rows", None, "Rows in all, shared evenly among the classes.", lower_bound=1)
_COUNTS = flags.DEFINE_string("label_counts", None, "Rows of each class instead, as CLASS:ROWS,CLASS:ROWS,….")
_FORMAT = flags.DEFINE_enum("format", "parquet", ["parquet", "csv"], "Of the files.")
_SHARDS = flags.DEFINE_integer("shards", None, "Number of files; default: one per 1,000,000 rows.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of all random draws.", lower_bound=0, upper_bound=2**32 - 1)
_PROCESSES = flags.DEFINE_integer("processes", 1, "Processes that share the files among them.", lower_bound=1)
_PROCESS_ID = flags.DEFINE_integer("process_id", 0, "Which of them this is, from 0.", lower_bound=0)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder for the files and their manifest.")


def main(argv: list[str]) -> None:
    """What the module says."""
    frame.no_arguments(argv)
    checkpoint, output_dir = _folder(_CHECKPOINT), _folder(_OUTPUT_DIR)
    if _PROCESS_ID.value >= _PROCESSES.value:
        raise InputError(
            f"--process_id is {_PROCESS_ID.value}; of {_PROCESSES.value} processes the last is number"
            f" {_PROCESSES.value - 1}"
        )
    model = bulk.Model.load(checkpoint)
    model.cddpm.config = sampling.chosen(model.cddpm.config)
    if model.cddpm.config.choose_sampler:
        chosen = model.cddpm.choose_sampler(checkpoint)
        print(f"sampler: {chosen.sampler}, told from ancestral sampling with AUC {chosen.auc:.3f}")
    wanted = parse_rows(_COUNTS.value, _COUNTS.name) if _COUNTS.value is not None else None
    job = bulk.Generation(
        model=model,
        counts=bulk.class_counts(model.classes, _ROWS.value, wanted),
        seed=_SEED.value,
        shards=_SHARDS.value,
        format=cast(bulk.Format, _FORMAT.value),
    )
    # A CPU is slower than the thread that writes; an accelerator needs several.
    abreast = 1 if jax.default_backend() == "cpu" else min(8, cores())
    with CompileClock().timed() as seconds:
        made = bulk.run(job, output_dir, process=_PROCESS_ID.value, processes=_PROCESSES.value, abreast=abreast)
    if made.rows:
        rate = made.rows / seconds["run"]
        print(
            f"{made.rows:,} rows in {seconds['run']:.1f} s ({rate:,.0f} rows/s), compiled in {seconds['compile']:.1f} s"
        )
    if made.complete:
        print(f"{job.parts} files, {len(job.labels):,} rows in all: {output_dir / bulk.MANIFEST}")
    else:
        print("files of other processes are still missing; the last one to end writes the manifest")


def _folder(flag: flags.FlagHolder) -> Path:
    if not flag.value:
        raise InputError(f"--{flag.name} is missing; name a folder")
    return Path(flag.value)


if __name__ == "__main__":
    frame.run(main)
