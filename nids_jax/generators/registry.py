"""Generators by name."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nids_jax.errors import InputError
from nids_jax.generators.base import Generator
from nids_jax.generators.calibrated import Calibrated
from nids_jax.generators.cddpm import CDDPM, CDDPMConfig
from nids_jax.generators.editing import Edited
from nids_jax.generators.gan import GAN, GANConfig, Method
from nids_jax.generators.resampling import ADASYN, SMOTE, Copies, Jitter
from nids_jax.generators.transfer import AdaptationConfig, Adapted, Pretrained


@dataclass(frozen=True, kw_only=True)
class GeneratorOptions:
    """What any generator may need; each takes what concerns it."""

    cddpm: CDDPMConfig = field(default_factory=CDDPMConfig)
    gan: GANConfig = field(default_factory=GANConfig)
    pretrained: Pretrained | None = None  # a model of plentiful rows, scaled alike; `cddpm_adapted` needs it
    checkpoint_dir: Path | None = None
    about: dict[str, Any] = field(default_factory=dict)  # stored with the checkpoint
    progress: bool = False


def _cddpm(options: GeneratorOptions) -> CDDPM:
    o = options
    return CDDPM(o.cddpm, checkpoint_dir=o.checkpoint_dir, about=o.about, progress=o.progress)


def _adapted(options: GeneratorOptions) -> CDDPM:
    if options.pretrained is None:
        raise InputError("cddpm_adapted starts from a model of auxiliary rows, and there are none; set some aside")
    return Adapted(options.cddpm, options.pretrained, progress=options.progress)


def _edited(options: GeneratorOptions) -> Generator:
    if options.pretrained is None:
        return Edited(_cddpm(options))
    # The seeds carry the classes, so the pre-trained model is left as it is.
    return Edited(Adapted(options.cddpm, options.pretrained, AdaptationConfig(steps=0), progress=options.progress))


def _gan(method: Method, *, per_class: bool = False) -> Callable[[GeneratorOptions], GAN]:
    return lambda options: GAN(method, replace(options.gan, per_class=per_class), progress=options.progress)


GENERATORS: dict[str, Callable[[GeneratorOptions], Generator]] = {
    "adasyn": lambda options: ADASYN(),
    "cddpm": _cddpm,
    "cddpm_calibrated": lambda options: Calibrated(_cddpm(options)),
    "cddpm_edit": _edited,
    "copies": lambda options: Copies(),
    "jitter": lambda options: Jitter(),
    "smote": lambda options: SMOTE(),
    "vae": _gan("vae"),
    "vae_wgan": _gan("vae_wgan"),
    "vae_wgan_gp": _gan("vae_wgan_gp"),
    "vae_wgan_gp_per_class": _gan("vae_wgan_gp", per_class=True),
    "wcgan_gp": _gan("wcgan_gp"),
    "wgan": _gan("wgan"),
    "wgan_per_class": _gan("wgan", per_class=True),  # as its authors have it: a WGAN knows no labels
}

# These start from auxiliary rows, and are no use without.
TRANSFER: dict[str, Callable[[GeneratorOptions], Generator]] = {"cddpm_adapted": _adapted}

# Those that train no model; a model may be swamped by a class with many rows.
RESAMPLING = frozenset({"adasyn", "copies", "jitter", "smote"})
LEARNED = frozenset({*GENERATORS, *TRANSFER}) - RESAMPLING


def make_generator(name: str, options: GeneratorOptions) -> Generator:
    """The generator called `name`.

    Raises:
      InputError: unknown name.
    """
    known = {**GENERATORS, **TRANSFER}
    if name not in known:
        raise InputError(f"unknown generator {name!r}; choose from {sorted(known)}")
    return known[name](options)
