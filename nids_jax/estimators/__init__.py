"""Estimators by scikit-learn's conventions, and over-samplers by imbalanced-learn's; `import nids_jax` has them all."""

from nids_jax.estimators.few_shot import FewShotClassifier
from nids_jax.estimators.neural import (
    BiLSTMBiGRUClassifier,
    BiLSTMClassifier,
    CNNBiGRUClassifier,
    CNNBiLSTMClassifier,
)
from nids_jax.estimators.preprocessing import FlowPreprocessor
from nids_jax.estimators.samplers import (
    CDDPMOverSampler,
    SimulatedToolsSampler,
    VAEWGANGPOverSampler,
    WCGANGPOverSampler,
)

__all__ = [
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
]
