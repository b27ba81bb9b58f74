"""A sample of CSE-CIC-IDS2018 that comes with the package: real flows of another network, metered by CICFlowMeter."""

from nids_jax.data.datasets.entry import Dataset

DATASET = Dataset(
    name="cicids2018_sample",
    classes=(
        "Benign",
        "Bot",
        "Brute Force -Web",
        "Brute Force -XSS",
        "DDOS attack-HOIC",
        "DDOS attack-LOIC-UDP",
        "DDoS attacks-LOIC-HTTP",
        "DoS attacks-GoldenEye",
        "DoS attacks-Hulk",
        "DoS attacks-SlowHTTPTest",
        "DoS attacks-Slowloris",
        "FTP-BruteForce",
        "Infilteration",
        "SQL Injection",
        "SSH-Bruteforce",
    ),
    meter="cicids2018",
    packaged="cicids2018_sample.parquet",
    source="Sharafaldin, Habibi Lashkari, Ghorbani: Toward generating a new intrusion detection dataset and intrusion "
    "traffic characterization, ICISSP 2018; CSE-CIC-IDS2018, registry.opendata.aws/cse-cic-ids2018",
)
