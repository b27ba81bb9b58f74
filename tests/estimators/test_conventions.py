"""scikit-learn's and imbalanced-learn's own checks of their conventions, on tiny settings."""

from collections.abc import Iterator
from typing import Any

import jax
import pytest
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import estimator_checks as imbalanced
from sklearn.utils import estimator_checks as conventions

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
from nids_jax.estimators.samplers import GeneratorOverSampler
from nids_jax.nn.unet1d import UNetConfig

TINY: dict[str, Any] = {
    "channels": (8,),
    "hidden": (8, 8),
    "dropout": 0.0,
    "steps": 60,
    "batch_size": 16,
    "learning_rate": 0.03,
}
TINY_GAN = {"hidden": (8,), "noise": 2, "steps": 2, "critic_steps": 1}
TINY_CDDPM = {"network": UNetConfig(widths=(4, 4, 4, 4), deep=4, embedding=4), "steps": 2, "batch": 8}

NETWORK = [CNNBiGRUClassifier(**TINY)]
RIVALS = [kind(**TINY) for kind in (CNNBiLSTMClassifier, BiLSTMBiGRUClassifier, BiLSTMClassifier)]
SHALLOW = [FewShotClassifier("decision_tree"), FlowPreprocessor(), FlowPreprocessor("zscore", on_invalid="error")]
SAMPLERS = [
    CDDPMOverSampler(preset="demo", settings=TINY_CDDPM, random_state=0),
    VAEWGANGPOverSampler(preset="demo", settings=TINY_GAN, random_state=0),
    WCGANGPOverSampler(preset="demo", settings=TINY_GAN, random_state=0),
    SimulatedToolsSampler(),
]
# They take ours for over-samplers of their own, and count the rows of each class.
BaseOverSampler.register(GeneratorOverSampler)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*collapsed:RuntimeWarning"),  # after two steps
    pytest.mark.filterwarnings("ignore:.*left as they are:UserWarning"),
    # Of the checks themselves.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def compiling_quickly() -> Iterator[None]:
    """The checks fit tables of fifteen shapes, each compiled: little time for a slower program."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@conventions.parametrize_with_checks([*NETWORK, *SHALLOW, *SAMPLERS])
def test_scikit_learns_conventions(estimator: Any, check: Any):
    check(estimator)


# What its `parametrize_with_checks` does, which hands pytest a generator, and pytest wants a list.
@pytest.mark.parametrize(
    ("estimator", "check"),
    [each for one in (*NETWORK, *SHALLOW, *SAMPLERS) for each in imbalanced.estimator_checks_generator(one)],
    ids=imbalanced._get_check_estimator_ids,
)
def test_imbalanced_learns_conventions(estimator: Any, check: Any):
    check(estimator)


# A forest draws rows, and draws others among twice as many; scikit-learn's own forest is let off the same check.
DRAWN = {"check_sample_weight_equivalence_on_dense_data": "a bootstrap of repeated rows is not one of weighed rows"}


@pytest.mark.slow
@conventions.parametrize_with_checks(
    [*RIVALS, FewShotClassifier()],
    expected_failed_checks=lambda one: DRAWN if isinstance(one, FewShotClassifier) else {},
)
def test_scikit_learns_conventions_kept_by_the_rivals(estimator: Any, check: Any):
    check(estimator)
