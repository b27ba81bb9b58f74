"""Which flags each command has, so that one that it has not is refused before anything is imported.

They follow from the commands' settings, whose modules take seconds to import; `tests/cli/test_known_flags.py` compares.
"""

import difflib
from collections.abc import Collection, Sequence

from nids_jax.errors import InputError

KNOWN: dict[str, frozenset[str]] = {
    name: frozenset(flags.split())
    for name, flags in {
        "fewshot": """
            attempted auxiliary batches benign benign_rows classifiers cluster compat data data_dir dataset
            decimal detector_steps disjoint_tests early_stopping exclude explain generated generations
            generators guidance keep_duplicates keep_ports label_column log_to max_per_class merge_dos
            merge_spellings on_invalid output_dir own_tools precision preset rates rounds sampler
            sampler_steps scale_schedule schedule seeds shard shots simulated_rows simulated_weight
            simulated_weighting split_seeds test_rows tests timesteps tool_of variance
        """,
        "generator_comparison": """
            attempted auxiliary batches benign benign_rows classifiers cluster compat data data_dir dataset
            decimal detector_steps disjoint_tests early_stopping exclude explain generated generations
            generators guidance keep_duplicates keep_ports label_column log_to max_per_class merge_dos
            merge_spellings on_invalid output_dir own_tools precision preset rates rounds sampler
            sampler_steps scale_schedule schedule seeds shard shots simulated_rows simulated_weight
            simulated_weighting split_seeds test_rows tests timesteps tool_of variance
        """,
        "learning_curve": """
            attempted auxiliary batches benign benign_rows classifiers cluster compat data data_dir dataset
            decimal detector_steps disjoint_tests early_stopping exclude explain generated generations
            generators guidance keep_duplicates keep_ports label_column log_to max_per_class merge_dos
            merge_spellings on_invalid output_dir own_tools precision preset rates rounds sampler
            sampler_steps scale_schedule schedule seeds shard shots simulated_rows simulated_weight
            simulated_weighting split_seeds test_rows tests timesteps tool_of variance
        """,
        "zero_shot": """
            anomaly_detectors attempted batches benign benign_rows classifiers cluster compat data data_dir
            dataset decimal exclude keep_duplicates keep_ports label_column log_to max_per_class merge_dos
            merge_spellings on_invalid output_dir own_tools preset seeds shard simulated_rows split_seeds
            test_rows tool_of training_sets
        """,
        "imbalance": """
            attempted batches benign classifiers cluster data data_dir dataset decimal exclude fractions
            generations generators guidance keep_duplicates keep_ports label_column log_to max_per_class
            merge_dos merge_spellings on_invalid output_dir precision preset rounds sampler sampler_steps
            sampling_strategy scale_schedule scaler schedule seeds shard split_seeds variance
        """,
        "detector_comparison": """
            attempted batches benign classifiers cluster data data_dir dataset decimal disjoint_tests
            early_stopping exclude keep_duplicates keep_ports label_column leave_out log_to max_per_class
            merge_dos merge_spellings on_invalid output_dir preset seeds shard shots split_seeds test_data
            test_dataset test_rows
        """,
        "explanations": """
            attempted batches benign classifiers cluster data data_dir dataset decimal exclude keep_duplicates
            keep_ports label_column log_to max_per_class merge_dos merge_spellings on_invalid output_dir
            preset rows samples seeds shard shots single_samples split_seeds test_rows
        """,
        "packet_augmentation": """
            batches benign_rows captures classifiers cluster compat conversations detector_steps
            disjoint_tests early_stopping explain generated generations generators guidance log_to output_dir
            own_tools precision preset rates rounds sampler sampler_steps scale_schedule schedule seeds shard
            shots simulated_rows simulated_weight simulated_weighting split_seeds test_rows tests timesteps
            tool_of variance
        """,
        "sampler_tradeoff": """
            attempted batches benign cluster data data_dir dataset decimal exclude generated keep_duplicates
            keep_ports label_column log_to max_per_class merge_dos merge_spellings on_invalid output_dir
            preset seeds shard shots split_seeds test_rows
        """,
        "cost": """
            attempted batches benign cluster data data_dir dataset decimal exclude generated generators
            guidance keep_duplicates keep_ports label_column log_to max_per_class merge_dos merge_spellings
            on_invalid output_dir precision preset rounds sampler sampler_steps scale_schedule schedule shard
            shots variance
        """,
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
            activity_timeout captures cluster compat decapsulate flow_timeout format joined label max_flows output
            output_dir shard
        """,
        "detect": """
            activity_timeout compat decapsulate explain flow_timeout format max_false_positives max_flows
            model output
        """,
        "tools": """
            label tools
        """,
        "simulate": """
            compat conversations flows labels output own_tools seed tools
        """,
        "compare": """
            holdout label_column output_dir seed
        """,
        "report": """
            output_dir
        """,
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
