"""What a person reads of many verdicts: a line an alert, flows by class, who raises most alerts."""

from collections import Counter
from collections.abc import Iterator, Sequence

from nids_jax.detection.events import moments
from nids_jax.detection.verdict import Judged

_TALKERS = 5


class Summary:
    """Counts of verdicts."""

    def __init__(self, classes: Sequence[str], benign: str):
        """`classes` and which of them is benign: the model's."""
        self._classes, self._benign = classes, benign
        self.flows = self.alerts = 0
        self._by_class: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._incomplete = 0
        self._sources: Counter[str] = Counter()
        self._targets: Counter[str] = Counter()

    def add(self, judged: Judged) -> None:
        """Count some flows."""
        self.flows += judged.observed.count
        self.alerts += int(judged.alert.sum())
        self._by_class.update(judged.names)
        self._unknown.update(
            name for name, unknown in zip(judged.names, judged.unknown.tolist(), strict=True) if unknown
        )
        self._incomplete += int(judged.incomplete.sum())
        rows = judged.alert.nonzero()[0].tolist()
        for counter, values in (
            (self._sources, judged.observed.source_ip),
            (self._targets, judged.observed.destination_ip),
        ):
            if values is not None:
                counter.update(str(values[row]) for row in rows)

    def lines(self) -> list[str]:
        """The summary."""
        width = max(map(len, [*self._classes, "class"]))
        lines = [f"{'class':{width}}  {'flows':>10}  {'of these unknown':>16}"]
        order = sorted(self._by_class, key=lambda name: (name != self._benign, -self._by_class[name]))
        lines += [f"{name:{width}}  {self._by_class[name]:10,}  {self._unknown[name]:16,}" for name in order]
        lines.append(f"{'all':{width}}  {self.flows:10,}  {self._unknown.total():16,}")
        lines += [
            f"{what} of most alerts: " + ", ".join(f"{host} ({n:,})" for host, n in counter.most_common(_TALKERS))
            for what, counter in (("sources", self._sources), ("targets", self._targets))
            if counter
        ]
        if self._incomplete:
            lines.append(
                f"{self._incomplete:,} flows had missing or infinite values; the training rows' medians stood in"
            )
        return lines


def alert_lines(judged: Judged) -> Iterator[str]:
    """A line for each alert."""
    o = judged.observed
    for row in judged.alert.nonzero()[0].tolist():
        ends = []
        for host, port in ((o.source_ip, o.source_port), (o.destination_ip, o.destination_port)):
            if host is not None:
                text = str(host[row])
                number = -1 if port is None else int(port[row])
                ends.append((f"[{text}]" if ":" in text else text) + (f":{number}" if number > 0 else ""))
        parts = [moments(o.start[[row]])[0][:-5] if o.start is not None else ""]
        parts.append(" -> ".join(ends) if ends or judged.row is None else f"row {int(judged.row[row]):,}")
        parts.append(
            f"{judged.names[row]} ({judged.probability[row]:.2f})" + (", unknown" if judged.unknown[row] else "")
        )
        if judged.reasons is not None:
            parts.append(
                "; ".join(f"{each.feature} = {each.value:g} ({each.signed(3)})" for each in judged.reasons[row])
            )
        yield "  ".join(part for part in parts if part)
