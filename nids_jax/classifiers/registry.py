"""Classifiers by name, in the order in which reports show them."""

from collections.abc import Iterable

from nids_jax import plugins
from nids_jax.classifiers import foreign, neural, semi_supervised, shallow
from nids_jax.classifiers.base import Classifier, ClassifierOptions, ClassifierSpec
from nids_jax.errors import InputError

CLASSIFIERS: dict[str, ClassifierSpec] = {
    spec.name: spec for module in (neural, shallow, semi_supervised) for spec in module.SPECS
}
plugins.advertised(CLASSIFIERS, foreign.GROUP, foreign.spec_of)


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The names as the registry has them; a class named package.module:Class joins it (see `plugins.named`).

    Raises:
      InputError: a class that cannot be used.
    """
    return plugins.named(CLASSIFIERS, names, "classifiers", foreign.spec_of)


def make_classifier(name: str, options: ClassifierOptions) -> Classifier:
    """The classifier called `name`, or package.module:Class.

    Raises:
      InputError: unknown name, or one that needs unlabelled rows where there are none.
    """
    (name,) = known([name])
    if name not in CLASSIFIERS:
        raise InputError(f"unknown classifier {name!r}; choose from {', '.join(CLASSIFIERS)}")
    spec = CLASSIFIERS[name]
    if spec.needs == "unlabelled" and options.unlabelled is None:
        raise InputError(f"{name} learns from unlabelled rows too, and there are none; set some aside")
    return spec.make(options)


def compared_in(experiment: str) -> tuple[str, ...]:
    """The classifiers that an experiment runs unless told otherwise."""
    return tuple(name for name, spec in CLASSIFIERS.items() if experiment in spec.compared_in)
