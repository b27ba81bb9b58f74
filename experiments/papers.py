r"""Every run behind docs/reproduction.md and docs/results/detectors.md, and a table of all their records.

    python -m experiments.papers --data_dir=DATA --output_dir=out/papers
    python -m experiments.papers --data_dir=DATA --output_dir=out/papers --only=table5,table5_ten
    python -m experiments.papers --output_dir=out/papers --norun

Each is a command of `nids_jax` with a folder of its own for each dataset, and goes on where it was stopped: all of them
take about fifteen hours on one core.  The table is records.csv in --output_dir; with --norun it has what is recorded
so far.
"""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.command import asked
from nids_jax import store
from nids_jax.__main__ import main as command
from nids_jax.cli.flags import Flags
from nids_jax.cli.frame import DONE, run
from nids_jax.cli.output import say
from nids_jax.errors import check_names
from nids_jax.files import write_atomic
from nids_jax.settings import setting


@dataclass(frozen=True)
class Run:
    """A command of docs/reproduction.md, for each of some datasets."""

    table: str  # what records.csv calls it
    words: str  # the command, without dataset and folders
    datasets: tuple[str, ...] = ("cicids2017", "cicddos2019")

    def calls(self, folder: Path, data_dir: str | None) -> Iterator[list[str]]:
        """The words of each call, with its folder last."""
        where = [f"--data_dir={data_dir}"] if data_dir else []
        for dataset in self.datasets:
            yield [*self.words.split(), f"--dataset={dataset}", *where, f"--output_dir={folder / dataset}"]


_SIX = "cnn_bigru,cnn_bilstm,bilstm_bigru,bilstm,random_forest,knn"
_TABLE_5 = "generator_comparison --preset=paper_narrow --classifiers=cnn_bigru"
_P2 = (
    "imbalance --preset=paper --keep_duplicates --generators=real,smote,wgan,vae_wgan_gp"
    " --classifiers=xgboost,random_forest,decision_tree"
)
RUNS: Mapping[str, Run] = {
    "table4": Run("Table IV", f"detector_comparison --preset=paper --classifiers={_SIX} --shots=5,50,500 --seeds=1"),
    "table4_5000": Run(
        "Table IV, 5000 rows", f"detector_comparison --preset=paper --classifiers={_SIX} --shots=5000 --seeds=1"
    ),
    "table4_long": Run(
        "Table IV, 1000 epochs",
        "detector_comparison --preset=paper --epochs=1000 --classifiers=cnn_bigru --shots=5,50 --seeds=1",
        ("cicids2017",),
    ),
    "table4_fair": Run(
        "Table IV, fair",
        "detector_comparison --preset=cpu --classifiers=cnn_bigru,random_forest --shots=5,50,500 --seeds=10",
        ("cicids2017",),
    ),
    "detectors": Run(
        "Detectors",
        f"detector_comparison --shots=5,50,500 --seeds=10 --classifiers={_SIX},xgboost,decision_tree",
        ("cicids2017_improved", "cicddos2019"),
    ),
    "table5": Run(
        "Table V",
        f"{_TABLE_5} --generators=real,copies,smote,wcgan_gp,cddpm,real_all --timesteps=500,1000,1500,2000"
        " --seeds=3 --generations=3 --tests=2",
    ),
    "table5_ten": Run(
        "Table V, ten splits",
        f"{_TABLE_5} --generators=real,copies,smote,cddpm --timesteps=500 --seeds=10 --generations=1 --tests=1",
    ),
    "table5_full": Run(
        "Table V, full width",
        "generator_comparison --preset=paper --classifiers=cnn_bigru --generators=cddpm --timesteps=1000"
        " --seeds=1 --generations=1 --tests=2",
        ("cicids2017",),
    ),
    "table5_fair": Run(
        "Table V, fair",
        "generator_comparison --rates=1e-3,5e-3 --generations=1 --seeds=10 --classifiers=cnn_bigru,random_forest"
        " --generators=real,copies,smote,cddpm,real_all",
    ),
    "table6": Run("Table VI", "cost --preset=paper --rounds=1000 --generators=smote,wcgan_gp,cddpm", ("cicddos2019",)),
    "figure8": Run("Fig. 8", "explanations --preset=paper --classifiers=cnn_bigru,random_forest --seeds=1"),
    "p2_table3": Run("P2, Table 3", f"{_P2} --merge_dos --seeds=4", ("cicids2017",)),
    "p2_table4": Run("P2, Table 4", f"{_P2} --seeds=10", ("gas_pipeline",)),
}


@dataclass(frozen=True, kw_only=True)
class Papers:
    """What to run."""

    only: tuple[str, ...] = setting(tuple(RUNS), "Which of the runs.")
    run: bool = setting(True, "Run what is not recorded yet; else gather the records alone.")
    data_dir: str | None = setting(None, "Folder with one folder per dataset; default: $NIDS_DATA_DIR.")
    output_dir: str = setting("out/papers", "Folder for a folder of each run, and for records.csv.")

    def __post_init__(self) -> None:
        check_names("only", self.only, RUNS)


COLUMNS = (
    *("table", "dataset", "training_set", "classifier", "shots", "split_seed", "test"),
    *("accuracy", "weighted_precision", "weighted_recall", "weighted_f1", "macro_f1"),
    *("training_rows", "generated_rows", "test_rows", "generator_fit_s", "sample_s", "fit_s", "revision"),
)


def row(table: str, record: Mapping[str, Any]) -> dict[str, object]:
    """A record as a row of records.csv, among other entries: four digits of figures, a tenth of seconds."""
    rows = record.get("rows", {})
    return {
        **record,
        "table": table,
        "training_set": record["generator"],
        "test": record["generation_seed"],
        "training_rows": rows.get("train"),
        "generated_rows": rows.get("generated"),
        "test_rows": rows.get("test"),
        "revision": (record.get("environment", {}).get("git_revision") or "")[:9],
        **{name: _rounded(value, 4) for name, value in record["metrics"].items()},
        **{name: _rounded(value, 1) for name, value in record.get("timing", {}).items()},
    }


def _rounded(value: object, digits: int) -> object:
    return f"{value:.{digits}f}" if isinstance(value, float) else value


def gather(folder: Path) -> int:
    """Write records.csv from the records of all runs in a folder; how many there are.

    Raises:
      InputError: records cannot be read, or the table cannot be written.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    found = [
        row(each.table, record)
        for name, each in RUNS.items()
        for dataset in each.datasets
        for record in store.read(folder / name / dataset)
    ]
    table.writerows(found)
    write_atomic(folder / "records.csv", text.getvalue().encode())
    return len(found)


def main(arguments: Sequence[str]) -> None:
    """Run what is asked for and gather all records.

    Raises:
      InputError: a flag or its value is wrong.
    """
    wanted = asked(Papers, "experiments.papers", __doc__, arguments)
    if wanted is None:
        return
    folder = Path(wanted.output_dir)
    for name in wanted.only if wanted.run else ():
        for words in RUNS[name].calls(folder / name, wanted.data_dir):
            say(f"nids_jax {' '.join(words)}")
            if (status := command(words)) != DONE:
                sys.exit(status)  # the command has said why
    say(f"{folder / 'records.csv'} has {gather(folder):,} records")


if __name__ == "__main__":
    sys.exit(run(lambda: main, sys.argv[1:], lambda: Flags((Papers,)).names))
