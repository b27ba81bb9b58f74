"""Training sets by name: real rows alone, or with those of a generator."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from nids_jax.errors import InputError, check_names
from nids_jax.generators.registry import GENERATORS
from nids_jax.generators.spec import GeneratorSpec
from nids_jax.presets import Preset

# Training sets of real rows alone, and what each is.
REAL = {
    "real": "the real rows",
    "real_weighted": "the real rows, with class weights",
    "real_all": "as many real rows as there are with synthetic ones, where there are that many",
}
NO_GENERATOR = (*REAL, "copies")  # what a generator is compared with
_FREE = "_free"


@dataclass(frozen=True)
class TrainingSetName:
    """A name taken apart: `smote_free` is SMOTE on free features, `cddpm_500` is CDDPM with T = 500."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def real(self) -> bool:
        """Whether it holds real rows alone."""
        return self.text in REAL

    @property
    def free(self) -> bool:
        """Whether the generator works on free features (`flows.free_features`)."""
        return self.text.endswith(_FREE)

    @property
    def timesteps(self) -> int | None:
        """T of `NAME_T`, for a generator that knows a T."""
        start, _, steps = self.text.removesuffix(_FREE).rpartition("_")
        return int(steps) if start in GENERATORS and GENERATORS[start].timesteps and steps.isdecimal() else None

    @property
    def generator(self) -> str:
        """Its name in the registry, or one of REAL."""
        name = self.text.removesuffix(_FREE)
        return name.rpartition("_")[0] if self.timesteps else name

    @property
    def spec(self) -> GeneratorSpec:
        """The generator's entry in the registry."""
        return GENERATORS[self.generator]

    @property
    def simulated(self) -> bool:
        """Whether it holds flows of simulated tools."""
        return not self.real and self.spec.needs in ("tools", "weighted tools")

    @property
    def model(self) -> str:
        """The name of the training set whose trained model it samples: its own, unless the generator shares another's.

        Keys are drawn from it, so that `cddpm` and `cddpm_calibrated` sample one model on the same noise.
        """
        shared = self.spec.samples_model_of if self.generator in GENERATORS else ""
        return self.text.replace(self.generator, shared) if shared else self.text

    @property
    def stream(self) -> str:
        """The name of its stream of random numbers: free features keep the suffix that they had at first."""
        return self.model.removesuffix(_FREE) + "_base" if self.free else self.model

    def settings(self, preset: Preset) -> Any:
        """The generator's settings, with this name's T.

        Raises:
          InputError: the sampler takes more steps than that.
        """
        settings = preset.settings(self.spec)
        if self.timesteps is None:
            return settings
        try:
            return settings.with_timesteps(self.timesteps)
        except InputError as error:
            raise InputError(f"{self.text}: {error}") from None


def check_training_sets(
    names: Sequence[str], preset: Preset, *, given: Collection[str] = (), repeated_rows: bool = False
) -> None:
    """Refuse training sets that cannot be made.

    Args:
      given: what there is beside the rows: "auxiliary" rows, "packets", "tools" to simulate and "weighted tools" where
        rows have weights, "columns" of known names.
      repeated_rows: generators are fitted on rows that repeat.

    Raises:
      InputError: no training set, an unknown one, or a T with which the preset's sampler does not go together.
    """
    makeable = [
        spec.name
        for spec in GENERATORS.values()
        if (not spec.needs or spec.needs in given) and (spec.repeated_rows or not repeated_rows)
    ]
    check_names("generators", [TrainingSetName(name).generator for name in names], {*REAL, *makeable})
    for name in map(TrainingSetName, names):
        if name.free and (name.generator in REAL or (name.spec.needs in ("packets", "columns") or name.simulated)):
            raise InputError(
                f"`generators` names {name.text!r}, but {name.generator} makes no scaled rows: drop the {_FREE}"
            )
        if not name.real:
            name.settings(preset)


def default_training_sets(experiment: str, *, before: Sequence[str] = (), after: Sequence[str] = ()) -> tuple[str, ...]:
    """The training sets that an experiment makes unless told otherwise: those of the registry between real ones."""
    return (*before, *(name for name, spec in GENERATORS.items() if experiment in spec.compared_in), *after)
