"""MODEL_CARD.md: what a model was trained on, how it was tested, what it cannot do, and how it is called."""

from typing import Any

from nids_jax.bundle.model import Model

_PROGRAM = """
```python
import jax, numpy as np
jax.config.update("jax_enable_x64", True)
program = jax.export.deserialize(bytearray(open("model.stablehlo", "rb").read()))
probabilities = program.call(np.asarray(rows, np.float64))  # [n, {features}] raw rows → [n, {classes}]
```
"""


_MARKS = {**{mark: f"\\{mark}" for mark in "\\`*_[]|#"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}


def write(model: Model) -> str:
    """The card of a model whose manifest is complete."""
    told: dict[str, Any] = dict(model.told)
    data, evaluation = told["data"], told["evaluation"]
    lines = [
        "# Model card",
        "",
        f"A detector of network attacks in flow records: {told['detector']}, {len(model.classes)} classes,"
        f" {len(model.features)} features, made by nids_jax {told['versions'].get('nids-jax', '')}".rstrip()
        + ".",
        "",
        "## Trained on",
        "",
        f"{data['rows']:,} rows of {_plain(data['source'])}, metered {_metered(model.meter)}. Licence of the rows:"
        f" {_plain(told['licence'])}. Fingerprint: `{data['fingerprint']}`.",
        "",
        "| class | real rows | simulated rows | recall of held-out rows |",
        "|---|---|---|---|",
        *(
            f"| {_plain(name)}{' (benign)' if name == model.benign else ''} | {counts['real']:,} |"
            f" {counts['simulated']:,} | {_figure(evaluation['per_class_recall'].get(name))} |"
            for name, counts in data["classes"].items()
        ),
        "",
        "## How it was tested",
        "",
        evaluation["method"] + " Intervals are 95 % over resampled test rows of each class; another training set may"
        " change the figures more.",
        "",
        "| figure | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in figures(evaluation)),
        "",
        f"Precision and alerts are for {evaluation['flows_per_day']:,} flows a day of which"
        f" {evaluation['prevalence']:.3%} are attacks, spread evenly over the attack classes.",
        "",
        "## Thresholds",
        "",
        *(f"- {model.threshold(rate).sentence}" for rate in model.rates),
        "",
        f"A row is *unknown* where the entropy of its class probabilities exceeds {model.unknown_above:.6g} nats, as it"
        " does for at most 1 % of held-out rows of the classes trained on.",
        "",
        "## Use, and limits",
        "",
        "- Meant to rank flows of networks like the one it was trained on, for somebody to look into. It is no proof of"
        " an attack, and silence is no proof of peace.",
        "- Rates hold for benign flows like the benign rows held out. On another network, or metered in another way,"
        " set thresholds anew on benign rows of that network.",
        "- Attacks of kinds that it was not trained on are found sometimes: as an attack, as unknown, or not at all.",
        "- Few rows of a class say little about it; see the table above.",
        "- Missing and infinite values are filled in with the training rows' median, and such rows are marked.",
        "",
        "## Without this package",
        "",
        "`model.stablehlo` takes finite raw rows in the order of `features` in model.json:",
        _PROGRAM.format(features=len(model.features), classes=len(model.classes)),
    ]
    return "\n".join(lines)


def figures(evaluation: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures of an evaluation as words, with their intervals."""
    interval = evaluation["interval"]
    rows = [
        ("accuracy", _figure(evaluation["accuracy"], interval.get("accuracy"))),
        ("macro F1", _figure(evaluation["macro_f1"], interval.get("macro_f1"))),
        ("ROC-AUC, attack against benign", _figure(evaluation["roc_auc"], interval.get("roc_auc"))),
        ("average precision, attack against benign", _figure(evaluation["average_precision"])),
    ]
    for each in evaluation["at"]:
        rate = f"{each['rate'] * 100:g} %"
        if each["recall"] is None:
            rows.append((f"at {rate} false positives: mean recall of attacks", "–"))
            continue
        few = "" if each["supported"] else f"; of only {each['benign_rows']:,} benign rows the highest score"
        rows += [
            (
                f"at {rate} false positives: mean recall of attacks",
                _figure(each["recall"], interval.get(f"recall_at_{each['rate']:g}")) + few,
            ),
            (f"at {rate}: false positives measured", f"{each['measured_rate'] * 100:.3f} %"),
            (f"at {rate}: alerts a day", f"{each['alerts_per_day']:,.0f}"),
            (f"at {rate}: precision", f"{each['precision']:.4f}"),
        ]
    return rows


def _figure(value: float | None, interval: list[float] | None = None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" + (f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else "")


def _metered(meter: str | None) -> str:
    return "in an unknown way" if meter is None else f"as mode `{_plain(meter)}` does"


def _plain(text: str) -> str:
    """Text of unknown origin without what Markdown or HTML would take for its own."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return "".join(_MARKS.get(letter, letter) for letter in shown)
