"""Few-shot network intrusion detection: synthetic flows, detectors, and what they are worth.

The public names are imported when they are first used, so that importing the package costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nids_jax.api import explain, make_classifier, make_generator, meter, simulate, split
    from nids_jax.bundle.model import load_model
    from nids_jax.classifiers.registry import CLASSIFIERS
    from nids_jax.data.datasets import DATASETS
    from nids_jax.data.loading import load
    from nids_jax.data.scaling import fit_scaler
    from nids_jax.data.split import deduplicate, few_shot, stratified
    from nids_jax.data.table import FlowTable
    from nids_jax.errors import InputError
    from nids_jax.estimators import (
        BiLSTMBiGRUClassifier,
        BiLSTMClassifier,
        CDDPMOverSampler,
        CNNBiGRUClassifier,
        CNNBiLSTMClassifier,
        FewShotClassifier,
        FlowPreprocessor,
        SimulatedToolsSampler,
        VAEWGANGPOverSampler,
        WCGANGPOverSampler,
    )
    from nids_jax.evaluation.comparison import Comparison, compare
    from nids_jax.generators.registry import GENERATORS
    from nids_jax.modelling.job import train

_HOMES = {
    "api": ("explain", "make_classifier", "make_generator", "meter", "simulate", "split"),
    "bundle.model": ("load_model",),
    "classifiers.registry": ("CLASSIFIERS",),
    "data.datasets": ("DATASETS",),
    "data.loading": ("load",),
    "data.scaling": ("fit_scaler",),
    "data.split": ("deduplicate", "few_shot", "stratified"),
    "data.table": ("FlowTable",),
    "errors": ("InputError",),
    "estimators": (
        "BiLSTMBiGRUClassifier",
        "BiLSTMClassifier",
        "CDDPMOverSampler",
        "CNNBiGRUClassifier",
        "CNNBiLSTMClassifier",
        "FewShotClassifier",
        "FlowPreprocessor",
        "SimulatedToolsSampler",
        "VAEWGANGPOverSampler",
        "WCGANGPOverSampler",
    ),
    "evaluation.comparison": ("Comparison", "compare"),
    "generators.registry": ("GENERATORS",),
    "modelling.job": ("train",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CLASSIFIERS",
    "DATASETS",
    "GENERATORS",
    "BiLSTMBiGRUClassifier",
    "BiLSTMClassifier",
    "CDDPMOverSampler",
    "CNNBiGRUClassifier",
    "CNNBiLSTMClassifier",
    "Comparison",
    "FewShotClassifier",
    "FlowPreprocessor",
    "FlowTable",
    "InputError",
    "SimulatedToolsSampler",
    "VAEWGANGPOverSampler",
    "WCGANGPOverSampler",
    "compare",
    "deduplicate",
    "explain",
    "few_shot",
    "fit_scaler",
    "load",
    "load_model",
    "make_classifier",
    "make_generator",
    "meter",
    "simulate",
    "split",
    "stratified",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("nids-jax")
        except PackageNotFoundError:  # a checkout that is not installed
            return "0+unknown"
    if name in ("classifiers", "estimators", "generators"):  # the packages
        return importlib.import_module(f"nids_jax.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'nids_jax' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nids_jax.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
