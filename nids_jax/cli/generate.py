"""Generate any number of flows with a trained CDDPM, to Parquet or CSV files.

The rows are in raw units, sorted by class, and depend on the model, the seed and the classes' counts alone: not on the
devices, the processes or the number of files.  A file is whole or absent, and the same command goes on where a killed
one stopped.  Several processes, each with the same flags and its own --process_id, share the files among them, on one
machine or on several with a common folder; or --cluster hands them to the machines of a Ray cluster.

    nids_jax generate --checkpoint=out/demo/few_shot/runs/shots5-split0/cddpm --rows=1000000 --output_dir=flows
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from nids_jax import bulk
from nids_jax.cli.flags import Flags
from nids_jax.cli.options import Sampling
from nids_jax.cli.output import say
from nids_jax.cli.placing import executor
from nids_jax.data.sampling_strategy import parse_rows
from nids_jax.errors import InputError
from nids_jax.locks import hold
from nids_jax.pipeline.runner import Executor
from nids_jax.runtime import CompileClock, cores
from nids_jax.settings import check_settings, setting


@dataclass(frozen=True, kw_only=True)
class Generate:
    """The rows:"""

    checkpoint: str | None = setting(None, "Folder of a trained CDDPM: RUN/runs/shots5-split0/cddpm.")
    rows: int | None = setting(None, "Rows in all, shared evenly among the classes.", least=1, most=bulk.MOST_ROWS)
    label_counts: str | None = setting(None, "Rows of each class instead, as CLASS:ROWS,CLASS:ROWS,….")
    format: bulk.Format = setting("parquet", "Of the files.")
    shards: int | None = setting(None, "Number of files; default: one per 1,000,000 rows.", least=1)
    seed: int = setting(0, "Of all random draws.", least=0, most=2**32 - 1)
    processes: int = setting(1, "Processes that share the files among them.", least=1)
    process_id: int = setting(0, "Which of them this is, from 0.", least=0)
    cluster: str | None = setting(
        None, "Make the files on a Ray cluster: auto finds or starts one, ray://HOST:10001 connects; default: here."
    )
    output_dir: str | None = setting(None, "Folder for the files and their manifest.")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.process_id >= self.processes:
            raise InputError(
                f"`process_id` is {self.process_id}; of {self.processes} processes the last is number"
                f" {self.processes - 1}"
            )
        if self.cluster is not None and self.processes > 1:
            raise InputError("`cluster` and `processes` both share the files out; give one of them")


FLAGS = (Generate, Sampling)


def main(arguments: Sequence[str]) -> None:
    """Generate what the flags ask for."""
    given = Flags(FLAGS)
    given.parse(arguments)
    wanted, sampling = given.build(Generate), given.build(Sampling)
    with executor(wanted.cluster) as place:
        _generate(wanted, sampling, arguments, place)


def _generate(wanted: Generate, sampling: Sampling, arguments: Sequence[str], place: Executor | None) -> None:
    checkpoint, output_dir = _folder("checkpoint", wanted.checkpoint), _folder("output_dir", wanted.output_dir)
    model = bulk.Model.load(checkpoint)
    model.cddpm.config = sampling.changed(model.cddpm.config)
    if model.cddpm.config.choose_sampler:
        chosen = model.cddpm.choose_sampler(checkpoint)
        say(f"sampler: {chosen.sampler}, told from ancestral sampling with AUC {chosen.auc:.3f}")
    counts = parse_rows(wanted.label_counts, "label_counts") if wanted.label_counts is not None else None
    job = bulk.Generation(
        model=model,
        counts=bulk.class_counts(model.classes, wanted.rows, counts),
        seed=wanted.seed,
        shards=wanted.shards,
        format=wanted.format,
    )
    # A CPU is slower than the thread that writes; an accelerator needs several.
    abreast = 1 if jax.default_backend() == "cpu" else min(8, cores())
    held = hold(
        output_dir,
        "output_dir",
        ["nids_jax", "generate", *arguments],
        share=(wanted.process_id, wanted.processes),
        may_be_read_only=(output_dir / bulk.MANIFEST).exists(),
    )
    with held, CompileClock().timed() as seconds:
        made = bulk.run(
            job,
            output_dir,
            process=wanted.process_id,
            processes=wanted.processes,
            abreast=abreast,
            executor=place,
            say=say,
        )
    if made.rows:
        rate = made.rows / seconds["run"]
        say(
            f"{made.rows:,} rows in {seconds['run']:.1f} s ({rate:,.0f} rows/s), compiled in {seconds['compile']:.1f} s"
        )
    if made.complete:
        say(f"{job.parts} files, {len(job.labels):,} rows in all: {output_dir / bulk.MANIFEST}")
    else:
        say("files of other processes are still missing; the last one to end writes the manifest")


def _folder(name: str, value: str | None) -> Path:
    if not value:
        raise InputError(f"`{name}` is missing; name a folder")
    return Path(value)
