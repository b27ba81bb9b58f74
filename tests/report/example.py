"""A made-up output folder, as an experiment leaves it: every number is invented."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from nids_jax import store
from nids_jax.evaluation.metrics import confusion, detection_metrics
from nids_jax.flows.schema import CICIDS2017

CLASSES = [
    "BENIGN",
    "Bot",
    "DDoS",
    "DoS GoldenEye",
    "DoS Hulk",
    "DoS Slowhttptest",
    "DoS slowloris",
    "FTP-Patator",
    "Heartbleed",
    "Infiltration",
    "PortScan",
    "SSH-Patator",
    "Web Attack - Brute Force",
    "Web Attack - Sql Injection",
    "Web Attack - XSS",
]
FEATURES = [name for name in CICIDS2017 if name != "destination_port"]
SKILL = {  # the made-up share of rows that an condition gets right
    ("real", "cnn_bigru"): 0.52,
    ("real", "random_forest"): 0.76,
    ("copies", "cnn_bigru"): 0.70,
    ("copies", "random_forest"): 0.75,
    ("jitter", "cnn_bigru"): 0.73,
    ("smote", "cnn_bigru"): 0.72,
    ("smote", "random_forest"): 0.77,
    ("cddpm", "cnn_bigru"): 0.81,
    ("cddpm", "random_forest"): 0.78,
    ("wcgan_gp", "cnn_bigru"): 0.66,
    ("real_all", "cnn_bigru"): 0.96,
}
GENERATING = ("jitter", "smote", "cddpm", "wcgan_gp")


def record(generator: str, classifier: str, *, shots: int = 5, split: int = 0, generation: int = 0, **other) -> dict:
    """One finished run; `other` replaces parts of it."""
    rng = np.random.default_rng([split, generation, len(generator), len(classifier)])
    c = len(CLASSES)
    truth = np.repeat(np.arange(c), np.linspace(300, 15, c).astype(int))
    skill = np.clip(SKILL[generator, classifier] + rng.normal(0, 0.02, c) + rng.choice([0, -0.25, 0.1], c), 0, 1)
    guess = np.where(rng.random(len(truth)) < skill[truth], truth, (truth + rng.integers(1, 4, len(truth))) % c)
    return {
        "experiment": "fewshot",
        "dataset": "cicids2017",
        "generator": generator,
        "classifier": classifier,
        "shots": shots,
        "split_seed": split,
        "generation_seed": generation,
        "metrics": detection_metrics(truth, guess, CLASSES),
        "timing": {"compile_s": 3.1, "fit_s": 12.0 + split, "sample_s": 1.5, "classify_s": 0.2},
        "rows": {"train": shots * c, "generated": 50 * c if generator in GENERATING else 0, "test": len(truth)},
        "environment": {
            "device": "cpu",
            "jax": "0.10.2",
            "git_revision": None,
            "command": "python -m experiments.fewshot --dataset=cicids2017 --shots=5 --output_dir=out",
        },
        "classes": CLASSES,
        "confusion": confusion(truth, guess, CLASSES).tolist(),
        **other,
    }


def flows(rng: np.random.Generator, rows: np.ndarray, shift: float = 0.0) -> pd.DataFrame:
    """Rows of the classes `rows` with a skewed value in each column; `shift` makes them a little different."""
    centre = np.random.default_rng(1).normal(4, 3, (len(CLASSES), len(FEATURES)))
    logs = centre[rows] + rng.normal(shift, 0.8, (len(rows), len(FEATURES)))
    x = np.where(logs > 0.5, np.expm1(np.abs(logs)), 0.0)
    x[:, ::2] = np.round(x[:, ::2])
    return pd.DataFrame(x, columns=FEATURES).assign(Label=np.array(CLASSES)[rows])


def explanations(rng: np.random.Generator) -> dict:
    c, d = len(CLASSES), len(FEATURES)
    per_class = np.abs(rng.normal(0, 0.02, (c, d))) * rng.gamma(0.5, 1, d)
    local = []
    for name in CLASSES:
        phi, gain = rng.normal(0, 0.01, d) * rng.gamma(0.6, 2, d), rng.uniform(0.2, 0.9)
        phi[rng.integers(0, d, 5)] += gain / 5
        phi += (gain - phi.sum()) / d
        row = {"class": name, "predicted": name if gain > 0.4 else "DoS Hulk", "base": 0.066}
        row |= {"probability": 0.066 + gain, "values": np.round(rng.lognormal(4, 3, d), 3).tolist()}
        local.append(row | {"phi": phi.tolist()})
    importance = {"mean_abs": per_class.mean(axis=0).tolist(), "per_class": per_class.tolist()}
    return {"features": FEATURES, "classes": CLASSES, "global": importance, "local": local}


def write_example(folder: Path, *, seeds: int = 5) -> Path:
    """An experiment of all conditions over `seeds` splits and, where something is generated, two generations."""
    rng = np.random.default_rng(0)
    store.write_config(folder, {"dataset": "cicids2017", "shots": [5], "preset": "small", "benign_rows": None})
    for split in range(seeds):
        for generator, classifier in SKILL:
            for generation in range(2 if generator in GENERATING else 1):
                store.append(folder, record(generator, classifier, split=split, generation=generation))
    data = {
        "dataset": "cicids2017",
        "read": {
            "rows": 27478,
            "blank_lines": 12,
            "infinite": 31,
            "duplicates_dropped": 2405,
            "files": ["flows.parquet"],
        },
        "leakage": ["`fwd_segment_size_min` alone separates Heartbleed (balanced accuracy 0.998)"],
        "near_duplicates": 41,
        "counts": {name: 1000 - 60 * k for k, name in enumerate(CLASSES)},
    }
    (folder / "data.json").write_text(json.dumps(data), encoding="utf-8")
    run = folder / "runs" / "shots5-split0"
    run.mkdir(parents=True)
    c = len(CLASSES)
    flows(rng, np.repeat(np.arange(c), 5)).to_parquet(run / "train.parquet")
    flows(rng, np.repeat(np.arange(c), 200)).to_parquet(run / "test.parquet")
    flows(rng, np.repeat(np.arange(c), 50), 0.3).to_parquet(run / "synthetic.parquet")
    steps = np.arange(2000)
    curves = {"cddpm": 1 / (1 + steps / 50) * rng.lognormal(0, 0.3, 2000) + 0.03}
    for condition in ("cnn_bigru/real", "cnn_bigru/copies", "cnn_bigru/smote", "cnn_bigru/cddpm"):
        curves[condition] = 2.7 * np.exp(-np.arange(100) / rng.uniform(10, 60)) + 0.01
    (run / "curves.json").write_text(json.dumps({name: list(map(float, v)) for name, v in curves.items()}))
    (run / "shap.json").write_text(json.dumps(explanations(rng)), encoding="utf-8")
    return folder
