"""CIC-DDoS2019."""

from nids_jax.data.datasets.entry import Dataset, Printed, printed_detectors

DATASET = Dataset(
    name="cicddos2019",
    classes=(
        "BENIGN",
        "DrDoS_DNS",
        "DrDoS_LDAP",
        "DrDoS_MSSQL",
        "DrDoS_NTP",
        "DrDoS_NetBIOS",
        "DrDoS_SNMP",
        "DrDoS_SSDP",
        "DrDoS_UDP",
        "Portmap",
        "Syn",
        "TFTP",
        "UDP-lag",
        "WebDDoS",
    ),
    identifiers=frozenset({"simillarhttp", "similarhttp", "inbound"}),
    # The two days of capture name the same attacks differently: `DrDoS_LDAP` on one, `LDAP` on the other.
    merged={
        **{
            name: f"DrDoS_{kind}"
            for kind in ("DNS", "LDAP", "MSSQL", "NTP", "NetBIOS", "SNMP", "SSDP", "UDP")
            for name in (kind.lower(), f"dos_{kind.lower()}")
        },
        "udplag": "UDP-lag",
    },
    cap=30_000,  # P1, Table II
    meter="cicddos2019",
    test_per_class=10_000,
    source="Sharafaldin et al.: Developing realistic distributed denial of service (DDoS) attack dataset and "
    "taxonomy, IEEE ICCST 2019",
    printed=Printed(
        explained=("ack_flag_count", "flow_bytes_s"),
        few_shot={
            ("real", "cnn_bigru"): "0.2944",
            ("smote", "cnn_bigru"): "about 0.61",
            ("cddpm", "cnn_bigru"): "0.709, 0.689, 0.684, 0.766 (T = 500, 1000, 1500, 2000)",
            ("cddpm_500", "cnn_bigru"): "0.709",
            ("cddpm_1000", "cnn_bigru"): "0.689",
            ("cddpm_1500", "cnn_bigru"): "0.684",
            ("cddpm_2000", "cnn_bigru"): "0.766",
            ("wcgan_gp", "cnn_bigru"): "about 0.53",
            ("real_all", "cnn_bigru"): "0.8905 (55 real rows)",
        },
        # What P1 prints as CNN-BiGRU's accuracy on 500 and 50 rows differs between its own copies (0.9801 and 0.9901;
        # 0.9911 and 0.9991), and no row of its table can be told to be the accuracy on 5 rows.
        detectors=printed_detectors(
            {
                5000: (0.9643, 0.9692, 0.9720, 0.6609, 0.6203, 0.9940),
                500: (0.9593, 0.9201, 0.9165, 0.6412, 0.5820, 0.9801),
                50: (0.8187, 0.7372, 0.7776, 0.5967, 0.5290, 0.9911),
            }
        ),
    ),
)
