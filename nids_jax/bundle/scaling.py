"""The scaler of a bundle: `Scaler.to_json` read back with everything checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nids_jax.bundle.fields import entry, names, numbers
from nids_jax.data.scaling import SCALERS, Quantile, Scaler
from nids_jax.errors import InputError

_MOST_COLUMNS = 100_000


def stored_scaler(found: Mapping[str, Any]) -> Scaler:
    """The scaler that `Scaler.to_json` described, of whatever features it names.

    Raises:
      InputError: the description is not that of a scaler.
    """
    features, listed = names(found, "features", most=_MOST_COLUMNS), entry(found, "categories", list)
    if not all(isinstance(each, list) and all(isinstance(name, str) for name in each) for each in listed):
        raise InputError("its scaler's categories are no lists of names")
    if len(listed) != len(features):
        raise InputError(f"its scaler has {len(listed)} lists of categories for {len(features)} features")
    return checked_scaler(found, features, {name: tuple(each) for name, each in zip(features, listed, strict=True)})


def checked_scaler(
    found: Mapping[str, Any], features: tuple[str, ...], categories: Mapping[str, tuple[str, ...]]
) -> Scaler:
    """The scaler of these features, of which some are categories.

    Raises:
      InputError: the description is not that of such a scaler.
    """
    name = entry(found, "name", str)
    if name not in SCALERS:
        raise InputError(f"its scaler is {name[:40]!r}, which this version does not know")
    named = [list(categories.get(feature, ())) for feature in features]
    if entry(found, "features", list) != [*features] or entry(found, "categories", list) != named:
        raise InputError("its scaler is for other columns than its features")
    if sum(len(each) or 1 for each in named) > _MOST_COLUMNS:
        raise InputError(f"its scaler makes more than {_MOST_COLUMNS:,} columns")
    k = sum(not each for each in named)
    constants = entry(found, "constants", list)
    numbers([each for each in constants if each is not None], "constants")
    numeric = entry(found, "numeric", dict)
    if len(constants) != k:
        raise InputError(f"its scaler has {len(constants)} constants for {k} numeric columns")
    if issubclass(SCALERS[name], Quantile):
        values, scores = (entry(numeric, each, list) for each in ("values", "scores"))
        if sorted(numeric) != ["scores", "values"] or not len(values) == len(scores) == k:
            raise InputError("its scaler's points are not those of its columns")
        for each, score in zip(values, scores, strict=True):
            points, heights = numbers(each, "values"), numbers(score, "scores", len(each))
            if not len(points) or (np.diff(points) <= 0).any() or (np.diff(heights) <= 0).any():
                raise InputError("its scaler's points do not rise")
    else:
        if sorted(numeric) != ["centre", "spread"]:
            raise InputError("its scaler has other parameters than a centre and a spread")
        numbers(numeric["centre"], "centre", k)
        if (numbers(numeric["spread"], "spread", k) < 0).any():
            raise InputError("its scaler has a negative spread")
    return Scaler.from_json(found)
