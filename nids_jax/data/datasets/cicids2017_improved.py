"""The corrected release of CIC-IDS2017; the papers' figures on the first one stand beside ours."""

from nids_jax.data.datasets.cicids2017 import PRINTED
from nids_jax.data.datasets.entry import Dataset

DOS_TOOLS = ("DoS GoldenEye", "DoS Hulk", "DoS Slowhttptest", "DoS Slowloris")

DATASET = Dataset(
    name="cicids2017_improved",
    classes=(
        "BENIGN",
        "Botnet",
        "DDoS",
        *DOS_TOOLS,
        "FTP-Patator",
        "Heartbleed",
        "Infiltration",
        "Infiltration - Portscan",
        "Portscan",
        "SSH-Patator",
        "Web Attack - Brute Force",
        "Web Attack - SQL Injection",
        "Web Attack - XSS",
    ),
    attempted="attempted",
    identifiers=frozenset({"attempted_category"}),
    spellings={"bot": "Botnet"},
    dos_tools=frozenset(DOS_TOOLS),
    source="Engelen, Rimmer, Joosen: Troubleshooting an intrusion detection dataset: the CICIDS2017 case "
    "study, IEEE SPW 2021; Liu et al.: Error prevalence in NIDS datasets, IEEE CNS 2022",
    printed=PRINTED,
)
