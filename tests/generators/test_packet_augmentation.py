"""Rows from varied packets: of the right class, in the columns asked for, and each its own."""

import jax
import numpy as np
import pytest

from nids_jax.errors import InputError
from nids_jax.flows.meter import meter_mended
from nids_jax.flows.packets import Packets
from nids_jax.flows.simulate import simulate_packets
from nids_jax.flows.variation import Variation, first_flows, packets_of
from nids_jax.generators.packet_augmentation import PacketAugmentation

KEY = jax.random.key(5)
COLUMNS = ("total_bwd_packets", "flow_duration", "total_fwd_packets")


@pytest.fixture(scope="module")
def flows() -> tuple[list[Packets], np.ndarray, np.ndarray]:
    """The packets, the labels 0 and 1, and the records of a few downloads and a few scans."""
    packets, label = simulate_packets({"BENIGN": 6, "PortScan": 6}, seed=1)
    found = meter_mended(packets)
    first = first_flows(found)
    y = np.unique(label[found.first_packet[first]], return_inverse=True)[1]
    return packets_of(packets, found, first), y, found.x[first][:, [found.features.index(name) for name in COLUMNS]]


def test_unvaried_rows_are_records_of_the_class(flows):
    parts, y, records = flows
    labels = np.array([1, 0, 0, 1, 1, 0])
    rows = PacketAugmentation(parts, y, COLUMNS, Variation(timing=0.0)).sample(labels, KEY)
    assert rows.shape == (6, 3)
    for row, label in zip(rows, labels, strict=True):
        assert (records[y == label] == row).all(axis=1).any()


def test_a_row_depends_on_its_number_and_label_alone(flows):
    parts, y, _ = flows
    maker = PacketAugmentation(parts, y, COLUMNS, Variation())
    some, more = maker.sample(np.array([0, 1]), KEY), maker.sample(np.array([0, 1, 1, 0]), KEY)
    np.testing.assert_array_equal(more[:2], some)
    assert not np.array_equal(maker.sample(np.array([0, 0]), KEY), maker.sample(np.array([0, 0]), jax.random.key(6)))
    many = maker.sample(np.zeros(40, int), KEY)
    assert len(np.unique(many[:, 1])) > 30  # durations
    assert len(np.unique(many[:, [0, 2]], axis=0)) <= 6  # numbers of packets


@pytest.mark.parametrize(
    ("labels", "columns", "said"),
    [([0], COLUMNS, "12 flows have 1 labels"), ([0] * 12, ("bytes",), "no feature 'bytes'")],
)
def test_what_does_not_go_together_is_refused(flows, labels, columns, said):
    with pytest.raises(InputError, match=said):
        PacketAugmentation(flows[0], np.array(labels), columns, Variation())


def test_a_class_without_flows_is_refused(flows):
    with pytest.raises(InputError, match="label 2"):
        PacketAugmentation(flows[0], flows[1], COLUMNS, Variation()).sample(np.array([2]), KEY)
