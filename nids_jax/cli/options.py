"""The settings that several commands share: which flows to read, how models are sized, where the results go."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nids_jax import store
from nids_jax.cli.output import say
from nids_jax.cli.placing import Placing
from nids_jax.data.audit import leakage_report
from nids_jax.data.datasets import NAMES
from nids_jax.data.io.notation import Decimal
from nids_jax.data.io.survey import OnInvalid
from nids_jax.data.loading import Attempted, load
from nids_jax.data.split import deduplicate
from nids_jax.data.table import FlowTable
from nids_jax.diffusion.samplers import SAMPLERS
from nids_jax.errors import InputError
from nids_jax.generators.cddpm_config import AUTO, CDDPMConfig
from nids_jax.nn.unet1d import Precision
from nids_jax.presets import Preset, get_preset, with_family
from nids_jax.settings import setting
from nids_jax.training.callbacks import WRITERS
from nids_jax.training.checkpoint import fingerprint
from nids_jax.training.description import plain


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Which labelled flows to read, and how:"""

    dataset: str | None = setting(
        None, f"One of {', '.join(NAMES)}, whose rules to apply to the files, or which to read itself."
    )
    data_dir: str | None = setting(None, "Folder with one folder per dataset; default: $NIDS_DATA_DIR.")
    data: tuple[str, ...] = setting((), "Files or folders of labelled flows.")
    label_column: str | None = setting(None, "Column with the labels, where it is not found by itself.")
    keep_ports: bool = setting(False, "Keep the destination port, which gives many attacks away.")
    on_invalid: OnInvalid | None = setting(None, "What to do with unusable rows; default: what suits the dataset.")
    decimal: Decimal | None = setting(
        None, "Mark before the decimals of numbers in text, '.' or ','; default: as the file shows."
    )
    attempted: Attempted = setting("relabel", "Flows of attacks without effect (`… - Attempted`).")
    max_per_class: int | None = setting(
        None, "Read the first so many rows of each class; default: the dataset's own limit.", least=1
    )
    exclude: tuple[str, ...] = setting((), "Classes to leave out.")

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `load`, but for the dataset's name."""
        kept = ("data_dir", "label_column", "keep_ports", "on_invalid", "decimal", "attempted", "exclude")
        named = {name: getattr(self, name) for name in kept}
        return named | {"data": list(self.data) or None, "max_per_class": self.max_per_class or "dataset"}


@dataclass(frozen=True, kw_only=True)
class Data(Reading):
    """The flows to read:"""

    dataset: str | None = setting(
        None,
        f"One of {', '.join(NAMES)}; default: simulated, or with --data files of no known dataset.  With --data, whose "
        "rules to apply to the files.",
    )
    data: tuple[str, ...] = setting((), "Files or folders to read instead.")
    benign: str | None = setting(None, "Class that is no attack, where its name does not say so.")
    merge_spellings: bool = setting(True, "In cicddos2019, one class for `DrDoS_X` and `X`.")
    merge_dos: bool = setting(False, "In CIC-IDS2017, one class for the four DoS tools.")
    keep_duplicates: bool = setting(
        False, "Keep rows that repeat others, as P2 does, though tests then hold rows that were trained on."
    )

    @property
    def name(self) -> str:
        """What the records call the data: the dataset's name, or that of the first file given without one."""
        return self.dataset or (Path(self.data[0]).name if self.data else "simulated")

    def read(self) -> tuple[FlowTable, dict[str, Any]]:
        """The table, deduplicated unless `keep_duplicates`, and what was read and found, for data.json.

        Raises:
          InputError: whatever `load` refuses.
        """
        files = {"data_dir": self.data_dir, "data": self.data, "label_column": self.label_column}
        reading = {"on_invalid": self.on_invalid, "decimal": self.decimal}
        needless = [name for name, value in {**files, **reading}.items() if value]
        if self.name == "simulated" and needless:
            raise InputError(f"`{needless[0]}` needs files, but the dataset is `simulated`; pass `dataset` as well")
        table, report = load(
            self.dataset or (None if self.data else "simulated"),
            merge_spellings=self.merge_spellings,
            merge_dos=self.merge_dos,
            benign=self.benign,
            **self.options,
        )
        distinct, repeated = deduplicate(table)
        table = table if self.keep_duplicates else distinct
        leaks = leakage_report(table)
        became = f"duplicates {'kept' if self.keep_duplicates else 'removed'}: {repeated:,}"
        say(*str(report).split("\n"), became, *str(leaks).split("\n"))
        if table.benign is None:
            say(
                "no class is called benign or normal, and --benign names none: false-positive rates are left out "
                f"({', '.join(table.classes)})"
            )
        counts = {name: value for name, value in vars(report).items() if isinstance(value, int)}
        return table, {"read": {**counts, "duplicate": repeated}, "leakage": str(leaks).splitlines()}


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models:"""

    preset: str = setting(
        "cpu", "Sizes and training settings: demo, cpu, paper, or paper_narrow: the papers' settings on cpu's network."
    )
    batches: Literal["even", "plain"] | None = setting(
        None,
        "Whether 80 rows in batches of 64 are 40 and 40 or 64 and 16; default: the preset's (plain in the papers').",
    )

    def chosen(self) -> Preset:
        """The preset, with the flags' changes.

        Raises:
          InputError: unknown name.
        """
        preset = get_preset(self.preset)
        return preset if self.batches is None else preset.with_batches(even=self.batches == "even")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How CDDPM samples, and its noise schedule:"""

    sampler: str | None = setting(
        None,
        "Reverse process; auto: the one with fewest calls whose rows no classifier tells from ancestral sampling's; "
        "default: the preset's or the model's own.",
        choices=[AUTO, *sorted(SAMPLERS)],
    )
    sampler_steps: int | None = setting(None, "Steps of the reverse process.", least=2, most=100_000)
    guidance: float | None = setting(
        None, "Weight w of classifier-free guidance; default: 1 or the model's own.", least=0, most=100
    )
    precision: Precision | None = setting(
        None, "Of the network's activations and products; default: float32 or the model's own."
    )
    variance: Literal["posterior", "beta"] | None = setting(None, "Variance of the ancestral sampler's steps.")

    def changed(self, config: CDDPMConfig, **further: Any) -> CDDPMConfig:
        """The settings with the flags' changes, and `further` ones.

        Raises:
          InputError: settings that do not go together.
        """
        return config.changed(
            sampler=self.sampler,
            sampler_steps=self.sampler_steps,
            guidance=self.guidance,
            precision=self.precision,
            variance=self.variance,
            **further,
        )


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Generators that are trained:"""

    rounds: int | None = setting(
        None, "Passes over the training rows, for CDDPM and the GANs; default: the preset's.", least=1
    )

    def apply(self, preset: Preset) -> Preset:
        """The preset with so many rounds."""
        if self.rounds is None:
            return preset
        trained = {name: replace(config, epochs=self.rounds) for name, config in preset.generators.items()}
        return replace(preset, generators={**preset.generators, **trained})


@dataclass(frozen=True, kw_only=True)
class Diffusion(Sampling):
    """CDDPM, where it is among the generators:"""

    schedule: Literal["linear", "cosine"] | None = setting(None, "How β rises; default: the preset's.")
    scale_schedule: bool | None = setting(None, "Scale β by 1000/T, so that every T ends in noise; default: yes.")

    def apply(self, preset: Preset) -> Preset:
        """The preset with the flags' changes; a sampler with too few calls is warned of.

        Raises:
          InputError: settings that do not go together.
        """
        if self.scale_schedule is not None and (self.schedule or preset.generators["cddpm"].schedule.kind) != "linear":
            raise InputError("`scale_schedule` is about a linear `schedule`, and this one is not; leave it out")
        config = self.changed(preset.generators["cddpm"], schedule=self.schedule, scale_schedule=self.scale_schedule)
        calls, least = config.sampler.calls(config.schedule), config.sampler.minimum_calls
        if calls < least:
            say(f"warning: {calls} calls of the network; quality falls below {least}")
        return with_family(preset, "cddpm", config)


@dataclass(frozen=True, kw_only=True)
class Output(Placing):
    """The results:"""

    output_dir: str | None = setting(None, "Folder for records, figures and the report.")
    shard: str | None = setting(
        None, "K/N: run the K-th of N shares of the splits, from 0, into a folder of its own; `nids_jax report` merges."
    )
    cluster: str | None = setting(
        None, "Run the splits on a Ray cluster: auto finds or starts one, ray://HOST:10001 connects; default: here."
    )
    log_to: tuple[str, ...] = setting(
        (), f"Further places for the course of trainings, beside training.jsonl: {', '.join(WRITERS)}."
    )


def same_rows(output_dir: Path, table: FlowTable) -> str:
    """What tells these rows from others, for data.json.

    Raises:
      InputError: the folder holds runs on other rows.
    """
    found = fingerprint(table.x, table.y, np.array([*table.features, *table.classes]))
    path = output_dir / "data.json"
    known = store.read_object(path).get("fingerprint") if path.exists() and store.read(output_dir) else None
    if known not in (None, found):
        raise InputError(f"{output_dir} holds runs on other rows than are read now; choose another `output_dir`")
    return found


def version_of(settings: Any) -> str:
    """What tells settings that flags only name (a preset) from others, for config.json."""
    return hashlib.sha256(json.dumps(plain(settings), sort_keys=True).encode()).hexdigest()[:12]
