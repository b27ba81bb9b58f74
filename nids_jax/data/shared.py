"""Two datasets made comparable: the features and classes that both have."""

from nids_jax.data.datasets import DATASETS
from nids_jax.data.table import FlowTable
from nids_jax.errors import InputError
from nids_jax.flows.schema import normalise


def shared(source: FlowTable, target: FlowTable, names: tuple[str, str]) -> tuple[FlowTable, FlowTable, list[str]]:
    """Both tables with the columns and the classes that they share, named and ordered as in the source.

    A class goes by its name without regard to case and spacing, or by the spellings known of either dataset.

    Args:
      names: of the two datasets, for their spellings; any other name has none.

    Returns:
      The tables, and a sentence for each kind of thing left out.

    Raises:
      InputError: they share no feature, or fewer than two classes.
    """
    features = tuple(
        name
        for name in source.features
        if name in target.features and source.categories.get(name) == target.categories.get(name)
    )
    if not features:
        raise InputError(f"{names[0]} and {names[1]} share no feature; choose datasets of one flow meter")
    pairs = {theirs: ours for theirs in target.classes if (ours := _counterpart(theirs, source.classes, names))}
    classes = tuple(name for name in source.classes if name in pairs.values())
    if len(classes) < 2:
        raise InputError(f"{names[0]} and {names[1]} share {len(classes)} classes; a detector needs two")
    left_out = []
    for which, table, kept in ((names[0], source, classes), (names[1], target, tuple(pairs))):
        for kind, there, here in (("classes", table.classes, kept), ("features", table.features, features)):
            missing = [name for name in there if name not in here]
            if missing:
                left_out.append(f"{kind} of {which} alone, left out: {', '.join(missing)}")
    own = source.select(features).regroup({name: name for name in classes}, classes)
    return own, target.select(features).regroup(pairs, classes), left_out


def _counterpart(theirs: str, ours: tuple[str, ...], names: tuple[str, str]) -> str | None:
    spellings = [DATASETS[name].spellings if name in DATASETS else {} for name in names]
    for name in ours:
        keys = {normalise(name), normalise(spellings[1].get(normalise(name), name))}
        if keys & {normalise(theirs), normalise(spellings[0].get(normalise(theirs), theirs))}:
            return name
    return None
