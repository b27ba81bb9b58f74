"""Which flags each command has, so that one that it has not is refused before anything is imported.

They follow from the commands' settings, whose modules take seconds to import; `tests/cli/test_known_flags.py` compares.
"""

import difflib
from collections.abc import Collection, Sequence

from nids_jax.errors import InputError

# Flags that several commands have: of the flows to read,
_DATA = """
    attempted benign data data_dir dataset decimal exclude keep_duplicates keep_ports label_column
    max_per_class merge_dos merge_spellings on_invalid
"""
_RUN = "batches cluster log_to output_dir preset shard"  # of how an experiment runs,
_SPLITS = "seeds split_seeds"  # of its splits,
# of generators that are trained,
_DIFFUSION = "guidance precision rounds sampler sampler_steps scale_schedule schedule variance"
# and of few-shot experiments.
_FEW_SHOT = """
    benign_rows classifiers compat detector_steps disjoint_tests early_stopping explain generated
    generations generators own_tools rates shots simulated_rows simulated_weight simulated_weighting
    test_rows tests timesteps tool_of
"""
KNOWN: dict[str, frozenset[str]] = {
    name: frozenset(flags.split())
    for name, flags in {
        "fewshot": f"{_FEW_SHOT} {_DATA} {_RUN} {_SPLITS} {_DIFFUSION} auxiliary",
        "generator_comparison": f"{_FEW_SHOT} {_DATA} {_RUN} {_SPLITS} {_DIFFUSION} auxiliary",
        "learning_curve": f"{_FEW_SHOT} {_DATA} {_RUN} {_SPLITS} {_DIFFUSION} auxiliary",
        "zero_shot": f"""
            {_DATA} {_RUN} {_SPLITS}
            anomaly_detectors benign_rows classifiers compat own_tools simulated_rows test_rows tool_of
            training_sets
        """,
        "imbalance": f"""
            {_DATA} {_RUN} {_SPLITS} {_DIFFUSION}
            classifiers fractions generations generators sampling_strategy scaler
        """,
        "detector_comparison": f"""
            {_DATA} {_RUN} {_SPLITS}
            classifiers disjoint_tests early_stopping epochs leave_out shots test_data test_dataset test_rows
        """,
        "explanations": f"""
            {_DATA} {_RUN} {_SPLITS}
            classifiers rows samples shots single_samples test_rows
        """,
        "packet_augmentation": f"{_FEW_SHOT} {_RUN} {_SPLITS} {_DIFFUSION} captures conversations",
        "sampler_tradeoff": f"{_DATA} {_RUN} {_SPLITS} generated shots test_rows",
        "cost": f"{_DATA} {_RUN} {_DIFFUSION} generated generators shots",
        "train": """
            attacks attempted benign benign_class compat data data_dir dataset decimal detector exclude
            flows_per_day folds keep_ports label_column least_rows licence max_false_positives max_per_class
            on_invalid output own_tools prevalence seed simulate_below simulated_rows split tool_of tools
            unlabelled
        """,
        "generate": """
            checkpoint cluster format guidance label_counts output_dir precision process_id processes rows
            sampler sampler_steps seed shards variance
        """,
        "meter": """
            activity_timeout captures cluster compat decapsulate flow_timeout format joined label max_flows
            output output_dir shard
        """,
        "detect": """
            activity_timeout compat decapsulate explain flow_timeout format max_false_positives max_flows
            model output
        """,
        "tools": "label tools",
        "simulate": "compat conversations flows labels output own_tools seed tools",
        "compare": "holdout label_column output_dir seed",
        "report": "output_dir",
    }.items()
}
LONGEST_NAME = 100  # of a flag
_OF_ALL = frozenset({"quiet", "help"})
_HELP = frozenset({"--help", "-h", "--helpfull", "--helpshort"})


def refuse_unknown(command: str, arguments: Sequence[str]) -> None:
    """Refuse the first flag of a command line that the command does not have, if it can be no other flag's value.

    A command that is not written down here, as one of a user's own, tells by itself.

    Raises:
      InputError: there is one.
    """
    if command not in KNOWN or _HELP.intersection(arguments):
        return
    before = ""
    for each in arguments:
        if each == "--" or (before.startswith("-") and "=" not in before and each.startswith("-")):
            return  # from here on, what is a flag depends on those before: the command tells
        name = each.partition("=")[0].removeprefix("--")
        if each.startswith("--") and not {name, name.removeprefix("no")} & (KNOWN[command] | _OF_ALL):
            if len(name) > LONGEST_NAME:
                raise InputError(f"unknown flag --{name[:40]}…")
            raise InputError(f"unknown flag --{name}{hint(command, name, KNOWN[command])}")
        before = each


def hint(command: str, flag: str, own: Collection[str]) -> str:
    """What to say of a flag that is not among a command's own: whose it is, or which one may be meant."""
    others = [name for name, flags in KNOWN.items() if name != command and flag in flags]
    if others:
        return f": it is about {others[0]}, not about {command}; leave it out"
    near = difflib.get_close_matches(flag, own, 1)
    return f"; did you mean --{near[0]}?" if near else ""
