"""CIC-IDS2017 as first published."""

from nids_jax.data.datasets.entry import Dataset, Printed, printed_cells, printed_detectors

DOS_TOOLS = ("DoS GoldenEye", "DoS Hulk", "DoS Slowhttptest", "DoS slowloris")

PRINTED = Printed(
    # 5 real and 50 synthetic rows per class, mean of six runs.
    few_shot={
        ("real", "cnn_bigru"): "0.5035 (Table V), 0.5189 (Table IV)",
        ("smote", "cnn_bigru"): "0.715",
        ("cddpm", "cnn_bigru"): "0.805, 0.863, 0.818, 0.721 (T = 500, 1000, 1500, 2000)",
        ("cddpm_500", "cnn_bigru"): "0.805",
        ("cddpm_1000", "cnn_bigru"): "0.863",
        ("cddpm_1500", "cnn_bigru"): "0.818",
        ("cddpm_2000", "cnn_bigru"): "0.721",
        ("wcgan_gp", "cnn_bigru"): "0.724",
        ("real_all", "cnn_bigru"): "0.9721 (55 real rows)",
        ("real", "random_forest"): "0.7649 (Table IV)",
    },
    # P1's Table IV, its rows put in order: from "50" on, they stand beside the wrong labels.
    detectors=printed_detectors(
        {
            5000: (0.9910, 0.9925, 0.9989, 0.9640, 0.9500, 0.9988),
            500: (0.9974, 0.9752, 0.9916, 0.9572, 0.9158, 0.9954),
            50: (0.9310, 0.9638, 0.9692, 0.9229, 0.8080, 0.9765),
            5: (0.3966, 0.2837, 0.5324, 0.7649, 0.2751, 0.5189),
        }
    ),
    imbalance=printed_cells(
        ("real", (90.89, 84.31, 82.45, 62.66, 74.09, 79.56, 66.20, 76.92, 81.06)),
        ("smote", (93.17, 83.34, 80.69, 73.21, 74.55, 82.38, 73.62, 77.95, 81.82)),
        ("wgan", (91.84, 84.21, 81.65, 71.45, 75.72, 80.87, 71.38, 79.12, 81.69)),
        ("vae_wgan_gp", (94.26, 89.35, 85.12, 84.93, 77.55, 85.23, 85.41, 83.94, 85.58)),
    ),
)

DATASET = Dataset(
    name="cicids2017",
    classes=(
        "BENIGN",
        "Bot",
        "DDoS",
        *DOS_TOOLS,
        "FTP-Patator",
        "Heartbleed",
        "Infiltration",
        "PortScan",
        "SSH-Patator",
        "Web Attack - Brute Force",
        "Web Attack - Sql Injection",
        "Web Attack - XSS",
    ),
    spellings={
        "botnet": "Bot",
        "brute_force": "Web Attack - Brute Force",
        "sql_injection": "Web Attack - Sql Injection",
        "xss": "Web Attack - XSS",
    },
    cap=30_000,  # P1, Table II
    meter="cicids2017",
    dos_tools=frozenset(DOS_TOOLS),
    source="Sharafaldin, Lashkari, Ghorbani: Toward generating a new intrusion detection dataset and intrusion "
    "traffic characterization, ICISSP 2018",
    printed=Printed(
        few_shot=PRINTED.few_shot,
        detectors=PRINTED.detectors,
        imbalance=PRINTED.imbalance,
        explained=("bwd_init_win_bytes", "urg_flag_count"),
        rows={  # P2's Table 1
            "BENIGN": 2271320,
            "DoS": 251712,
            "PortScan": 158804,
            "DDoS": 128025,
            "FTP-Patator": 7935,
            "SSH-Patator": 5897,
            "Bot": 1956,
            "Web Attack - Brute Force": 1507,
            "Web Attack - XSS": 652,
            "Infiltration": 36,
            "Web Attack - Sql Injection": 21,
            "Heartbleed": 11,
        },
    ),
)
