"""A trained detector: raw flow records by name → verdicts; saved as a bundle and loaded from one.

    model = load_model("model")
    verdicts = model.verdicts(model.rows(frame), max_false_positives=0.01)

Loading and judging with trees imports no JAX.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nids_jax.bundle import explanation, folder, parts
from nids_jax.bundle.calibration import RATES, Calibration, Threshold
from nids_jax.bundle.columns import arranged, rows_of
from nids_jax.bundle.explanation import Contribution
from nids_jax.bundle.fields import entry, names
from nids_jax.bundle.parts import Part
from nids_jax.bundle.scaling import checked_scaler
from nids_jax.bundle.tensors import decode, encode
from nids_jax.data.scaling import Scaler
from nids_jax.errors import InputError
from nids_jax.flows.schema import FEATURES

_AT_ONCE = 65_536  # rows judged together: what bounds memory
_MOST_FEATURES, _MOST_CLASSES, _MOST_PARTS = 10_000, 1000, 64
_UNITS = {feature.name: feature.unit for feature in FEATURES}
# Parts of the manifest that are told, not used.
TOLD = {"detector": str, "data": dict, "evaluation": dict, "settings": dict, "versions": dict, "licence": str}


class Verdicts(NamedTuple):
    """What a model says of n rows."""

    label: np.ndarray  # [n] int, index into the classes: of an alert the likeliest attack, else the benign class
    probability: np.ndarray  # [n] of that class
    score: np.ndarray  # [n] 1 − P(benign)
    alert: np.ndarray  # [n] bool: the score is above the threshold
    unknown: np.ndarray  # [n] bool: less certain than 99 % of held-out rows of known classes
    uncertainty: np.ndarray  # [n] entropy of the probabilities, in nats
    incomplete: np.ndarray  # [n] bool: a value was missing or infinite, and was filled in
    probabilities: np.ndarray  # [n, classes]
    threshold: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A detector with all that judging raw rows takes."""

    scaler: Scaler  # knows the features and their categories
    classes: tuple[str, ...]
    benign: str
    meter: str | None  # how the rows trained on were metered; None: unknown
    fill: np.ndarray  # [d] float64, raw: what stands in for a missing value (the training rows' median)
    parts: tuple[Part, ...]
    calibration: Calibration  # of the attack score, on benign rows held out
    rates: tuple[float, ...] = RATES  # false-positive rates whose thresholds the manifest tells
    unknown_above: float  # the uncertainty from which a row counts as unknown
    background: np.ndarray  # [m, width] float32 scaled training rows, which explanations of networks start from
    told: Mapping[str, Any] = field(default_factory=dict)  # by the names in TOLD
    card: str = ""  # MODEL_CARD.md
    program: bytes = b""  # model.stablehlo, which runs without this package; empty: none
    curves: str = ""  # curves.csv

    @property
    def features(self) -> tuple[str, ...]:
        """The features' canonical names, in the order of raw rows."""
        return self.scaler.features

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The names of each categorical feature's codes 0, 1, …."""
        return {name: each for name, each in zip(self.features, self.scaler.categories, strict=True) if each}

    @cached_property
    def columns(self) -> np.ndarray:
        """The scaled columns that any part looks at, rising."""
        return np.unique(np.concatenate([part.columns for part in self.parts]))

    @cached_property
    def used(self) -> tuple[str, ...]:
        """The features that decide anything; the others need not be there."""
        seen = self.feature_of[self.columns]
        return tuple(name for place, name in enumerate(self.features) if place in seen)

    @cached_property
    def feature_of(self) -> np.ndarray:
        """[width] the feature of each scaled column."""
        return np.repeat(np.arange(len(self.features)), [len(each) or 1 for each in self.scaler.categories])

    @property
    def benign_label(self) -> int:
        """The number of the benign class."""
        return self.classes.index(self.benign)

    def rows(self, table: Any) -> np.ndarray:
        """The rows of a pandas frame or `FlowTable` as raw rows [n, d] float64, its columns found by name.

        Columns may stand in any order and under any known spelling, and there may be more.  What is no number becomes
        NaN.

        Raises:
          InputError: a feature that the model uses is missing.
        """
        return rows_of(table, self.features, self.categories, self.used)

    def arrange(self, names: Sequence[str], x: np.ndarray) -> np.ndarray:
        """Rows x [n, f] with columns of these canonical names as raw rows [n, d].

        Raises:
          InputError: a feature that the model uses is missing.
        """
        return arranged(names, list(np.asarray(x, np.float64).T), self.features, self.used, len(x))

    def clean(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Raw rows with every missing or infinite value, and every unknown category, filled in; which rows these are.

        As `on_invalid=impute` does it when files are read: by the training rows' median, of categories the most
        frequent.  Columns that the model does not use leave a row complete.

        Raises:
          InputError: x is not [n, d].
        """
        x = np.asarray(x, np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.features):
            raise InputError(f"the rows have shape {x.shape}, and the model has {len(self.features)} features")
        wrong = ~np.isfinite(x)
        for place, each in enumerate(self.scaler.categories):
            if each:
                wrong[:, place] |= ~np.isin(x[:, place], np.arange(len(each)))
        if not wrong.any():
            return x, np.zeros(len(x), bool)
        used = np.isin(np.arange(len(self.features)), self.feature_of[self.columns])
        return np.where(wrong, self.fill, x), np.any(wrong & used, axis=1)

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """P(class | row) of raw rows x [n, d] → [n, classes] float64; what is missing is filled in."""
        found = np.empty((len(x), len(self.classes)))
        for start in range(0, len(x), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            z = self.scaler.transform(self.clean(x[part])[0])
            found[part] = np.mean([each.predict_proba(z) for each in self.parts], axis=0)
        return found

    def predict_proba(self, table: Any) -> np.ndarray:
        """P(class | row) of a pandas frame or `FlowTable`, [n, classes]; see `rows`."""
        return self.probabilities(self.rows(table))

    def predict(self, table: Any, max_false_positives: float = 0.01) -> np.ndarray:
        """The class of each row of a pandas frame or `FlowTable`, [n] names; see `verdicts`."""
        return np.array(self.classes, object)[self.verdicts(self.rows(table), max_false_positives).label]

    def threshold(self, max_false_positives: float = 0.01) -> Threshold:
        """The threshold of the attack score for a rate of false positives.

        Raises:
          InputError: a rate outside (0, 1).
        """
        return self.calibration.threshold(max_false_positives)

    def verdicts(self, x: np.ndarray, max_false_positives: float = 0.01) -> Verdicts:
        """What the model says of raw rows x [n, d], which may hold missing and infinite values.

        Raises:
          InputError: x is not [n, d], or a rate outside (0, 1).
        """
        threshold = self.threshold(max_false_positives).value
        _, incomplete = self.clean(x)
        p = self.probabilities(x)
        benign = self.benign_label
        score = 1.0 - p[:, benign]
        alert = score > threshold
        attacks = p.copy()
        attacks[:, benign] = -1.0
        label = np.where(alert, attacks.argmax(axis=1), benign)
        doubt = uncertainty(p)
        return Verdicts(
            label=label,
            probability=p[np.arange(len(p)), label],
            score=score,
            alert=alert,
            unknown=doubt > self.unknown_above,
            uncertainty=doubt,
            incomplete=incomplete,
            probabilities=p,
            threshold=threshold,
        )

    def explain(self, x: np.ndarray, top: int = 5, labels: np.ndarray | None = None) -> list[list[Contribution]]:
        """For each raw row the features with the largest Shapley values of one class's probability, largest first.

        See `explanation.explain`.

        Args:
          labels: [n] the class to explain of each row; None: the likeliest.
        """
        return explanation.explain(self, x, top, labels)

    def save(self, output: str | os.PathLike[str]) -> None:
        """Write the bundle; one that is there is replaced as a whole.

        Raises:
          InputError: something else is there, or the folder cannot be written.
        """
        arrays = {
            "calibration": np.asarray(self.calibration.scores, np.float64),
            "fill": np.asarray(self.fill, np.float64),
            "background": np.asarray(self.background, np.float32),
        }
        for number, part in enumerate(self.parts):
            arrays |= {f"part{number}.{name}": array for name, array in part.arrays().items()}
        files = {
            folder.WEIGHTS: encode(arrays),
            folder.CARD: self.card.encode(),
            **({folder.PROGRAM: self.program} if self.program else {}),
            **({folder.CURVES: self.curves.encode()} if self.curves else {}),
        }
        folder.write(output, self.manifest(), files)

    def manifest(self) -> dict[str, Any]:
        """What `model.json` says, but for the format and the checksums."""
        return {
            "features": [{"name": name, "unit": _UNITS.get(name)} for name in self.features],
            "meter": self.meter,
            "classes": [*self.classes],
            "benign": self.benign,
            "scaler": self.scaler.to_json(),
            "parts": [part.to_json() for part in self.parts],
            "thresholds": [vars(self.threshold(rate)) for rate in self.rates],
            "calibration": {"rows": self.calibration.rows},
            "unknown": {"measure": "entropy of the class probabilities, in nats", "above": self.unknown_above},
            **{name: self.told[name] for name in TOLD if name in self.told},
        }


def uncertainty(p: np.ndarray) -> np.ndarray:
    """−Σ_k p_k log p_k of probabilities p [n, c] → [n], in nats."""
    return -np.sum(p * np.log(np.maximum(p, 1e-300)), axis=1)


def load_model(path: str | os.PathLike[str]) -> Model:
    """The model in a bundle.

    Raises:
      InputError: it is no bundle, of a later format, incomplete or damaged; the sentence names the file.
    """
    manifest, files = folder.read(path)
    with folder.naming(_joined(path, folder.WEIGHTS)):
        arrays = decode(files[folder.WEIGHTS])
    with folder.naming(_joined(path, folder.MANIFEST)):
        return _model(manifest, arrays, files)


def _joined(path: str | os.PathLike[str], name: str) -> Any:
    return os.path.join(path, name)


def _model(manifest: Mapping[str, Any], arrays: dict[str, np.ndarray], files: Mapping[str, bytes]) -> Model:
    """The model that checked files describe.

    Raises:
      InputError: they do not describe one.
    """
    classes = names(manifest, "classes", most=_MOST_CLASSES)
    benign = entry(manifest, "benign", str)
    if benign not in classes or len(classes) < 2:
        raise InputError("its benign class is not one of two or more classes")
    meter = manifest.get("meter")
    if not (meter is None or (isinstance(meter, str) and 0 < len(meter) <= 100)):
        raise InputError("its meter mode is no name")
    listed = entry(manifest, "features", list)
    if not all(isinstance(each, dict) for each in listed):
        raise InputError("its features are no objects")
    features = names({"features": [each.get("name") for each in listed]}, "features", most=_MOST_FEATURES)
    scaler = _scaler(entry(manifest, "scaler", dict), features)
    unknown = entry(entry(manifest, "unknown", dict), "above", float)
    rows = entry(entry(manifest, "calibration", dict), "rows", int)
    described = entry(manifest, "parts", list)
    if not 0 < len(described) <= _MOST_PARTS:
        raise InputError(f"it has {len(described)} parts")
    own = {name: arrays.pop(name, np.zeros(0, np.uint8)) for name in ("calibration", "fill", "background")}
    found = []
    for number, each in enumerate(described):
        prefix = f"part{number}."
        inside = {name: arrays.pop(name) for name in [*arrays] if name.startswith(prefix)}
        inside = {name.removeprefix(prefix): array for name, array in inside.items()}
        found.append(parts.restored(each, inside, scaler.width, len(classes)))
    if arrays:
        raise InputError(f"there is an array {min(arrays)[:80]!r} that it does not explain")
    fill, background = own["fill"], own["background"]
    if fill.dtype != np.float64 or fill.shape != (len(features),) or not np.isfinite(fill).all():
        raise InputError("its values for what is missing are not those of its features")
    if background.dtype != np.float32 or background.ndim != 2 or background.shape[1] != scaler.width:
        raise InputError("its background rows are not those of its columns")
    if not np.isfinite(background).all():
        raise InputError("its background rows are not finite")
    text = {name: files.get(name, b"").decode("utf-8", "replace") for name in (folder.CARD, folder.CURVES)}
    model = Model(
        scaler=scaler,
        classes=classes,
        benign=benign,
        meter=meter,
        fill=fill,
        parts=tuple(found),
        calibration=Calibration.from_array(own["calibration"], rows),
        unknown_above=unknown,
        background=background,
        rates=_rates(entry(manifest, "thresholds", list)),
        told={name: entry(manifest, name, kind) for name, kind in TOLD.items() if name in manifest},
        card=text[folder.CARD],
        program=files.get(folder.PROGRAM, b""),
        curves=text[folder.CURVES],
    )

    if model.clean(fill[None])[1].any():
        raise InputError("its values for what is missing are no categories of its features")
    return model


def _rates(found: list[Any]) -> tuple[float, ...]:
    """The rates of the thresholds; these follow from the calibration.

    Raises:
      InputError: something else than rates.
    """
    rates = [entry(each, "rate", float) if isinstance(each, dict) else -1.0 for each in found]
    if not all(0 < rate < 1 for rate in rates):
        raise InputError("its thresholds are not those of rates between 0 and 1")
    return tuple(rates)


def _scaler(found: Mapping[str, Any], features: tuple[str, ...]) -> Scaler:
    """The scaler, whose categories are checked names.

    Raises:
      InputError: it is not that of these features.
    """
    listed = entry(found, "categories", list)
    if len(listed) != len(features):
        raise InputError("its scaler is for other columns than its features")
    categories = {
        feature: names({feature: each}, feature, most=100_000)
        for feature, each in zip(features, listed, strict=True)
        if each != []
    }
    return checked_scaler(found, features, categories)
