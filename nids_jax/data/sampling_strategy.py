"""How far each class is raised: the `sampling_strategy` of imbalanced-learn's over-samplers.

| strategy | raised | to |
|---|---|---|
| `minority` | the smallest class | the largest class's rows |
| `not minority` | all but the smallest class | the same |
| `not majority`, `auto`, `all` | all but the largest class | the same |
| r, 0 < r ≤ 1 | the smaller of two classes | r times the larger one's rows, rounded down |
| {class: rows} | the classes named | the rows named, in all |

Of several smallest or largest classes the first is meant.
"""

import re
from collections.abc import Mapping

import numpy as np

from nids_jax.errors import InputError
from nids_jax.settings import number

Strategy = str | float | Mapping[str, int]

NAMES = ("minority", "not minority", "not majority", "all", "auto")


def parse_strategy(text: str) -> Strategy:
    """The strategy that a command line names: one of `NAMES`, a number, or `CLASS:ROWS,CLASS:ROWS,…`.

    Raises:
      InputError: none of these, or a class named twice.
    """
    if text.strip() in NAMES:
        return text.strip()
    if ":" in text:
        return parse_rows(text, "sampling_strategy")
    try:
        return number(float, text)
    except ValueError:
        raise InputError(
            f"`sampling_strategy` is {text[:80]!r}; give {', '.join(NAMES)}, a number (two classes), or CLASS:ROWS,…"
        ) from None


def parse_rows(text: str, argument: str) -> dict[str, int]:
    """The numbers of `CLASS:ROWS,CLASS:ROWS,…`, by class; `argument` is where they come from.

    Raises:
      InputError: something else, or a class named twice.
    """
    rows: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.rpartition(":"))
        if not name or not re.fullmatch("[0-9]{1,12}", number):
            raise InputError(f"`{argument}` has {part.strip()[:80]!r}; give CLASS:ROWS, such as Botnet:2000")
        if name in rows:
            raise InputError(f"`{argument}` names {name!r} twice")
        rows[name] = int(number)
    return rows


def raised_counts(strategy: Strategy, counts: Mapping[str, int]) -> dict[str, int]:
    """Rows of each class after over-sampling, of classes that have `counts` rows before; in the same order.

    Classes without rows are as if they were not there.

    Raises:
      InputError: an unknown strategy or class, fewer rows than there are, a number that is not in (0, 1] or not for two
        classes, or fewer than two classes.
    """
    present = {name: count for name, count in counts.items() if count}
    if len(present) < 2:
        raise InputError(f"only {', '.join(present) or 'no class'} has rows; balancing needs two classes")
    if isinstance(strategy, Mapping):
        raised = _to_rows(strategy, present)
    elif isinstance(strategy, str):
        raised = _to_majority(strategy, present)
    else:
        raised = _to_ratio(strategy, present)
    return {**counts, **raised}


def even_rows(y: np.ndarray, seed: int) -> np.ndarray:
    """Row numbers that hold every class of y [n] as often as the largest, and the rows of a class as evenly as may be.

    A generator that draws its batches from these sees a rare class as often as any other.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(y == label) for label in np.unique(y)]
    most = max(map(len, members))
    return np.concatenate([np.resize(rng.permutation(rows), most) for rows in members])


def _to_majority(name: str, present: Mapping[str, int]) -> dict[str, int]:
    if name not in NAMES:
        raise InputError(f"`sampling_strategy` is {name!r}; choose from {', '.join(NAMES)}")
    smallest = min(present, key=lambda each: present[each])
    if name == "minority":
        chosen = [smallest]
    else:
        chosen = [each for each in present if name != "not minority" or each != smallest]
    return dict.fromkeys(chosen, max(present.values()))


def _to_ratio(ratio: float, present: Mapping[str, int]) -> dict[str, int]:
    if not 0 < ratio <= 1:
        raise InputError(f"`sampling_strategy` is {ratio}; as a number it lies in (0, 1]")
    if len(present) != 2:
        raise InputError(
            f"`sampling_strategy` is {ratio}, but a number is for two classes and there are {len(present)}; name rows, "
            f"such as {next(iter(present))}:2000"
        )
    larger = max(present, key=lambda each: present[each])
    smaller = next(each for each in present if each != larger)
    wanted = int(present[larger] * ratio)
    if wanted <= present[smaller]:
        raise InputError(
            f"`sampling_strategy` is {ratio}, which gives {smaller!r} {wanted} rows where it has {present[smaller]}; "
            "choose a greater number"
        )
    return {smaller: wanted}


def _to_rows(rows: Mapping[str, int], present: Mapping[str, int]) -> dict[str, int]:
    for name, wanted in rows.items():
        if name not in present:
            raise InputError(f"`sampling_strategy` names {name!r}; choose from {', '.join(present)}")
        if wanted < present[name]:
            raise InputError(
                f"`sampling_strategy` gives {name!r} {wanted} rows where it has {present[name]} to train on; give at "
                "least as many"
            )
    return dict(rows)
