"""Conversations inferred from records: the records that they leave are those, and varied ones are near."""

from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest

from nids_jax.data.datasets import meter_of
from nids_jax.data.loading import load
from nids_jax.flows.compat import Compat
from nids_jax.flows.packets import ACK, FIN, PSH, RST, SYN, TCP, UDP
from nids_jax.flows.schema import FEATURES
from nids_jax.flows.simulate.inverse.conversation import Conversation, infer
from nids_jax.flows.simulate.inverse.levels import levels
from nids_jax.flows.simulate.inverse.records import told
from nids_jax.flows.simulate.inverse.replay import NONE, Spread, metered, vary
from nids_jax.flows.simulate.script import DOWN, UP
from nids_jax.flows.simulate.tools import TOOLS, tool_flows

NAMES = tuple(feature.name for feature in FEATURES)
TOOLS_PLAYED = ("patator_ssh", "slowloris", "hulk", "benign", "ntp_reflection", "nmap_syn")
EXACT = (
    *("protocol", "total_fwd_packets", "total_bwd_packets", "flow_duration"),
    *("total_length_of_fwd_packets", "total_length_of_bwd_packets", "packet_length_max", "packet_length_min"),
    *("fwd_header_length", "bwd_header_length", "fwd_init_win_bytes", "bwd_init_win_bytes", "down_up_ratio"),
    *("fwd_psh_flags", "bwd_psh_flags", "fwd_urg_flags", "bwd_urg_flags", "fwd_rst_flags", "bwd_rst_flags"),
    *(f"{flag}_flag_count" for flag in ("fin", "syn", "rst", "psh", "ack", "urg", "cwr", "ece")),
)
MEANS = ("packet_length_mean", "fwd_packet_length_mean", "flow_iat_mean", "fwd_iat_mean", "bwd_iat_mean")
NEAR = (
    *("fwd_packet_length_std", "bwd_packet_length_std", "packet_length_std"),
    *(f"{side}_iat_{of}" for side in ("flow", "fwd", "bwd") for of in ("max", "min", "std")),
    *("idle_max", "idle_mean", "active_max", "active_mean"),
)


def conversations(x: np.ndarray, features: tuple[str, ...], compat: Compat) -> list[Conversation]:
    columns = told(x, features, compat)
    return [infer({name: column[row] for name, column in columns.items()}, compat) for row in range(len(x))]


def errors(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.abs(got - wanted) / np.maximum(np.abs(wanted), 1)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.concatenate([tool_flows(TOOLS[name], 15, 3)[0] for name in TOOLS_PLAYED])


def test_levels_have_the_statistics_of_any_numbers() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        count = int(rng.integers(1, 40))
        kind = rng.integers(3)
        drawn = (rng.integers(0, 3, count) * 700, np.rint(rng.exponential(1e4, count)), rng.integers(20, 60, count))[
            kind
        ]
        std = stdev(drawn.tolist()) if count > 1 else 0.0
        above = int((drawn > drawn.min()).sum()) if rng.random() < 0.5 else None
        found = levels(count, drawn.sum(), drawn.min(), drawn.max(), std, above).tolist()
        assert (len(found), sum(found)) == (count, drawn.sum())
        assert (min(found), max(found)) == (drawn.min(), drawn.max())
        if count > 3:
            assert stdev(found) == pytest.approx(std, rel=0.12, abs=1)


def test_levels_make_do_with_what_is_known() -> None:
    assert levels(0, 0, np.nan, np.nan, np.nan).tolist() == []
    assert levels(4, 400, np.nan, np.nan, np.nan).tolist() == [100] * 4
    assert levels(3, 10, 0, 9, np.nan).tolist() == [9, 1, 0]
    assert sum(levels(5, 1000, 50, 60, 3).tolist()) == 1000  # the extremes do not go with the sum, which holds


@pytest.mark.parametrize("compat", ["corrected", "none", "cicflowmeter", "cicids2017", "cicddos2019"])
def test_the_record_of_an_unvaried_conversation_is_the_one_it_was_inferred_from(compat: Compat) -> None:
    tools = TOOLS_PLAYED if compat != "cicflowmeter" else TOOLS_PLAYED[:-1]
    x = np.concatenate([tool_flows(TOOLS[name], 12, 1, compat=compat)[0] for name in tools])
    made, found = metered(conversations(x, NAMES, compat), compat)
    assert found.all()
    for names, tolerance in ((EXACT, 0), (MEANS, 1e-3)):
        for name in names:
            place = NAMES.index(name)
            wrong = errors(made[:, place], x[:, place]) > tolerance
            assert wrong.mean() <= 0.02, (name, np.flatnonzero(wrong), made[wrong, place], x[wrong, place])
    for name in NEAR:
        wrong = errors(made[:, NAMES.index(name)], x[:, NAMES.index(name)])
        assert np.median(wrong) < 0.01, name
        assert (wrong < 0.1).mean() > 0.75, (name, np.sort(wrong)[-20:])


def test_the_packets_themselves_have_the_statistics(rows: np.ndarray) -> None:
    """Counted by a plain loop, without the meter."""
    for row, talk in zip(rows, conversations(rows, NAMES, "corrected"), strict=True):
        record = dict(zip(NAMES, row.tolist(), strict=True))
        time = np.cumsum(talk.gap).tolist()
        assert time[-1] == record["flow_duration"]
        for side, name in ((UP, "fwd"), (DOWN, "bwd")):
            mine = [i for i in range(len(talk)) if talk.side[i] == side]
            assert len(mine) == record[f"total_{name}_packets"]
            sizes = [int(talk.payload[i]) for i in mine] or [0]
            assert sum(sizes) == record[f"total_length_of_{name}_packets"]
            assert (min(sizes), max(sizes)) == tuple(record[f"{name}_packet_length_{of}"] for of in ("min", "max"))
            assert sum(int(talk.header[i]) for i in mine) == record[f"{name}_header_length"]
            gaps = [later - earlier for earlier, later in pairwise(time[i] for i in mine)]
            if gaps:
                assert fmean(gaps) == pytest.approx(record[f"{name}_iat_mean"])
        for flag, bit in (("fin", FIN), ("syn", SYN), ("rst", RST), ("psh", PSH), ("ack", ACK)):
            assert sum(int(flags) & bit > 0 for flags in talk.flags) == record[f"{flag}_flag_count"]
        assert talk.protocol == record["protocol"]
        assert talk.side[0] == UP
        assert talk.gap.min() >= 0


def test_a_table_without_most_columns_still_gives_conversations(rows: np.ndarray) -> None:
    for kept in (
        ("flow_duration", "fwd_packets_s", "bwd_packets_s", "fwd_packet_length_mean"),
        ("total_fwd_packets", "total_bwd_packets"),
        ("flow_duration",),
        ("total_length_of_fwd_packets", "protocol"),
    ):
        part = rows[:, [NAMES.index(name) for name in kept]]
        part[0] = np.nan
        for compat in ("none", "cicids2017"):
            made, found = metered(conversations(part, kept, compat), compat)
            assert found.all()
            assert np.isfinite(made).all()
            for place, name in enumerate(kept[:2]):
                if name in ("total_fwd_packets", "total_length_of_fwd_packets"):
                    np.testing.assert_array_equal(made[1:, NAMES.index(name)], part[1:, place])


def test_the_protocol_is_told_by_windows_and_headers() -> None:
    kept = ("total_fwd_packets", "fwd_header_length", "fwd_init_win_bytes")
    talks = conversations(np.array([[2.0, 16, -1], [2, 64, 8192], [2, 64, 0]]), kept, "cicids2017")
    assert [talk.protocol for talk in talks] == [UDP, TCP, TCP]


def test_varied_conversations_are_others_of_their_kind(rows: np.ndarray) -> None:
    talks = conversations(rows, NAMES, "corrected")
    same = vary(talks[0], NONE, np.random.default_rng(0))
    assert all(np.array_equal(getattr(same, name), value) for name, value in vars(talks[0]).items())
    rng = np.random.default_rng(1)
    made, found = metered([vary(talk, Spread(), rng) for talk in talks for _ in range(20)], "corrected")
    assert found.all()
    duration, packets = NAMES.index("flow_duration"), NAMES.index("total_fwd_packets")
    again = np.repeat(rows, 20, axis=0)
    long = again[:, duration] > 1000
    assert (made[long, duration] != again[long, duration]).mean() > 0.99
    ratio = np.log(made[long, duration] / again[long, duration])
    assert abs(np.median(ratio)) < 0.1
    assert 0.1 < ratio.std() < 1
    assert (made[:, packets] == again[:, packets]).mean() > 0.4
    np.testing.assert_array_equal(made[:, NAMES.index("protocol")], again[:, NAMES.index("protocol")])


def test_each_kind_of_variation_changes_what_it_is_about(rows: np.ndarray) -> None:
    row = next(i for i in range(len(rows)) if rows[i, NAMES.index("total_bwd_packets")] > 10)
    talk = conversations(rows[row : row + 1], NAMES, "corrected")[0]

    def differs(changed: Conversation) -> set[str]:
        return {name for name, value in vars(talk).items() if not np.array_equal(value, getattr(changed, name))}

    def varied(**settings: float) -> Conversation:
        return vary(talk, Spread(**{**vars(NONE), **settings}), np.random.default_rng(4))

    assert differs(varied(path=0.5)) == {"gap"}
    assert differs(varied(host=0.5)) == {"gap"}
    assert differs(varied(size=0.3)) == {"payload"}
    assert len(varied(rounds=1.0)) != len(talk)
    assert differs(varied(window=0.5)) == {"window"}
    sized = varied(size=0.3)
    assert ((sized.payload == 0) == (talk.payload == 0)).all()


def test_conversations_longer_than_the_timeout_are_hurried() -> None:
    x = tool_flows(TOOLS["slowloris"], 10, 0)[0]
    talks = conversations(x, NAMES, "corrected")
    slow = [Conversation(**{**vars(talk), "gap": talk.gap * 100}) for talk in talks]
    made, found = metered(slow, "corrected", 120_000_000)
    assert found.all()
    np.testing.assert_array_equal(made[:, NAMES.index("total_fwd_packets")], x[:, NAMES.index("total_fwd_packets")])
    assert made[:, NAMES.index("flow_duration")].max() <= 120_000_000


@pytest.mark.parametrize("name", ["cicids2017_improved", "cicids2017", "cicddos2019"])
def test_real_records_come_back(name: str, data_dir: Path) -> None:
    table, _ = load(name, data_dir=data_dir, max_per_class=200, progress=False)
    rng = np.random.default_rng(0)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(table.y == k))[:8] for k in range(len(table.classes))])
    x, compat = table.x[chosen], meter_of(name)
    made, found = metered(conversations(x, table.features, compat), compat)
    assert found.all()
    for exact in ("total_fwd_packets", "total_bwd_packets", "total_length_of_fwd_packets", "syn_flag_count"):
        assert (made[:, NAMES.index(exact)] == x[:, table.features.index(exact)]).mean() > 0.98, exact
    medians = [
        np.median(errors(made[:, NAMES.index(feature)], x[:, place])) for place, feature in enumerate(table.features)
    ]
    assert np.max(medians) < 0.02
