"""Event lines, put together from texts, beside those of `json`, whatever is known of the flows."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nids_jax.bundle.explanation import Contribution
from nids_jax.detection.events import event_lines
from nids_jax.detection.observed import Observed
from nids_jax.detection.verdict import Judged
from nids_jax.flows.meter import ENDS
from tests.detection import plain_events

_ROWS = 7
_NAMES = st.lists(st.text(min_size=1, max_size=9), min_size=2, max_size=4, unique=True)


@given(names=_NAMES, host=st.text(max_size=9), known=st.sets(st.integers(0, 11)), seed=st.integers(0, 2**32 - 1))
def test_lines_are_those_of_json(names: list[str], host: str, known: set[int], seed: int) -> None:
    draws = np.random.default_rng(seed)
    hosts = np.array(["10.0.0.1", "fe80::1", host, "1", "2", "3", "4"], object)
    columns = {
        "start": draws.integers(0, 2**51, _ROWS),
        "source_ip": hosts,
        "source_port": draws.integers(-1, 3, _ROWS),
        "destination_ip": hosts[::-1],
        "destination_port": draws.integers(-1, 70000, _ROWS),
        "protocol": draws.choice([-1, 0, 1, 6, 17, 58, 99, 132, 255], _ROWS),
        "icmp": draws.integers(-1, 3, (_ROWS, 2)),
        "duration": draws.integers(0, 2**40, _ROWS),
        "packets": draws.integers(0, 2, (_ROWS, 2)),
        "sizes": draws.integers(0, 2**50, (_ROWS, 2)),
        "end": draws.integers(0, len(ENDS), _ROWS).astype(np.int8),
        "community_ids": tuple(draws.choice(["", "1:AbC+/=", "1:xyz="], _ROWS).tolist()),
    }
    kept = {name: column for k, (name, column) in enumerate(columns.items()) if k in known}
    label = draws.integers(0, len(names), _ROWS)
    why = [
        [
            Contribution(
                feature=name,
                value=float(value),
                weight=float(draws.normal()),
                error=float(draws.choice([0, draws.exponential()])),
            )
            for name in names
        ]
        for value in draws.choice([0.1, 1e300, np.inf, np.nan], _ROWS)
    ]
    judged = Judged(
        observed=Observed(count=_ROWS, **kept),
        names=[names[k] for k in label],
        probability=draws.choice([0.0, 1.0, 1e-7, draws.uniform()], _ROWS),
        score=draws.uniform(size=_ROWS),
        alert=draws.random(_ROWS) < 0.5,
        unknown=draws.random(_ROWS) < 0.5,
        incomplete=draws.random(_ROWS) < draws.choice([0, 0.5]),
        reasons=draws.choice([0, 1]) * [each if k % 2 else () for k, each in enumerate(why)] or None,
        row=draws.integers(1, 9, _ROWS) if seed % 2 else None,
    )
    found = event_lines(judged, names)
    assert found == [*plain_events.event_lines(judged, names)]
    for line in found:
        assert json.loads(line)["nids_jax"]["class"] in names
