"""The fifteen classes of CIC-IDS2017, each as a mixture of recipes.

Sizes are bytes of payload, times are seconds.  `About(median, between, within)` is log-normal: `between` varies it from
conversation to conversation, `within` from message to message; a tuple of medians lists the settings that a program is
run with.  Conversations are shorter than that data set's longest (a Heartbleed session of 20 minutes, form posts by the
hundred), so that a balanced set of flows stays small.

Source: the attacks as described by Sharafaldin et al. 2018 (CIC-IDS2017), and the tools named beside each recipe.
"""

from nids_jax.flows.simulate.benign import BENIGN
from nids_jax.flows.simulate.dos import DDOS, GOLDENEYE, HULK, SLOWHTTPTEST, SLOWLORIS
from nids_jax.flows.simulate.intrusion import (
    BOT,
    BRUTE_FORCE,
    FTP_PATATOR,
    HEARTBLEED,
    INFILTRATION,
    PORTSCAN,
    SQL_INJECTION,
    SSH_PATATOR,
    XSS,
)
from nids_jax.flows.simulate.script import Traffic

# class → (share, recipe), …
TRAFFIC: dict[str, tuple[tuple[float, Traffic], ...]] = {
    "BENIGN": BENIGN,
    "Bot": BOT,
    "DDoS": DDOS,
    "DoS GoldenEye": GOLDENEYE,
    "DoS Hulk": HULK,
    "DoS Slowhttptest": SLOWHTTPTEST,
    "DoS slowloris": SLOWLORIS,
    "FTP-Patator": FTP_PATATOR,
    "Heartbleed": HEARTBLEED,
    "Infiltration": INFILTRATION,
    "PortScan": PORTSCAN,
    "SSH-Patator": SSH_PATATOR,
    "Web Attack - Brute Force": BRUTE_FORCE,
    "Web Attack - Sql Injection": SQL_INJECTION,
    "Web Attack - XSS": XSS,
}
