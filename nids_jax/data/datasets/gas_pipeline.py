"""The gas pipeline of Mississippi State University."""

from nids_jax.data.datasets.entry import Dataset, Printed, printed_cells

CLASSES = ("Normal", "NMRI", "CMRI", "MSCI", "MPCI", "MFCI", "DoS", "Recon")

DATASET = Dataset(
    name="gas_pipeline",
    classes=CLASSES,
    spellings={str(code): name for code, name in enumerate(CLASSES)},
    # `?` says that this packet does not carry the value, not that the record is broken.  The 10 % sample has none; in
    # the later release nearly every row has some, and dropping them would leave nothing.
    on_invalid="impute",
    codes=(
        *("command_address", "response_address", "command_memory", "response_memory"),
        *("comm_read_function", "comm_write_fun", "resp_read_fun", "resp_write_fun", "sub_function"),
        *("control_mode", "control_scheme", "pump", "solenoid"),
    ),
    source="Morris, Gao: Industrial control system traffic data sets for intrusion detection research, ICCIP "
    "2014 (Mississippi State University)",
    printed=Printed(
        imbalance=printed_cells(
            ("real", (60.87, 59.47, 59.84, 60.12, 61.03, 60.67, 61.49, 60.68, 59.31)),
            ("smote", (62.32, 61.42, 61.82, 61.35, 62.15, 62.39, 61.82, 61.35, 61.15)),
            ("wgan", (78.71, 77.57, 77.49, 73.32, 72.78, 70.97, 73.23, 73.98, 69.81)),
            ("vae_wgan_gp", (83.74, 89.05, 81.32, 85.46, 86.14, 84.98, 84.28, 83.64, 83.07)),
        ),
        rows={  # P2's Table 2
            "Normal": 61156,
            "CMRI": 15466,
            "MPCI": 7637,
            "Recon": 6805,
            "NMRI": 2763,
            "DoS": 1837,
            "MSCI": 782,
            "MFCI": 573,
        },
    ),
)
