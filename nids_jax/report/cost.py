"""What the cost experiment says: P1's Table VI."""

from collections.abc import Mapping

from nids_jax.report.conditions import Condition, Group, Record, Table

EXPERIMENTS = ("cost",)
# Seconds on an RTX 3060, 13 × 50 rows, T = 1000 (P1 Table VI).
PAPER = {"cddpm": "16.57 / 33.00", "wcgan_gp": "79.51 / 2.08", "smote": "2.07 in all"}
COLUMNS = (
    ("fit, s", "fit_s", ".2f"),
    ("sample, s", "sample_s", ".2f"),
    ("compile, s", "compile_s", ".1f"),
    ("CPU, fit", "fit_cpu_utilisation", ".0%"),
    ("CPU, sample", "sample_cpu_utilisation", ".0%"),
    ("GPU %, fit", "fit_gpu_utilisation", ".0f"),
    ("GPU %, sample", "sample_gpu_utilisation", ".0f"),
    ("peak MiB, fit", "fit_peak_host_mib", ",.0f"),
    ("peak MiB, sample", "sample_peak_host_mib", ",.0f"),
    ("device MiB", "sample_peak_device_mib", ",.0f"),
)


def tables(group: Group, members: Mapping[Condition, list[Record]]) -> list[Table]:
    """A line for each generator."""
    rows = []
    for condition, runs in members.items():
        found = {**runs[-1]["metrics"], "compile_s": runs[-1]["timing"]["compile_s"]}
        cells = ["–" if found[name] is None else format(found[name], form) for _, name, form in COLUMNS]
        rows.append((condition.generator, *cells, PAPER.get(condition.generator, "–")))
    run = next(iter(members.values()))[-1]
    title = f"{group}: {run['rows']['train']} rows, {run['rows']['generated']} generated"
    header = ("generator", *(title for title, _, _ in COLUMNS), "P1: fit / sample, s (RTX 3060)")
    return [Table(title, header, rows, "Peak memory is the whole process's, with the interpreter and its libraries.")]


def verdict(group: Group, members: Mapping[Condition, list[Record]]) -> list[str]:
    """The generator that is fitted and sampled fastest."""
    seconds = {
        condition.generator: runs[-1]["metrics"]["fit_s"] + runs[-1]["metrics"]["sample_s"]
        for condition, runs in members.items()
    }
    least, most = (pick(seconds, key=seconds.__getitem__) for pick in (min, max))
    return [f"{group}: from {least} ({seconds[least]:.2f} s to fit and sample) to {most} ({seconds[most]:.2f} s)."]


def shown(members: Mapping[Condition, list[Record]]) -> list[Condition]:
    """No confusion matrices."""
    return []
