"""What over-samplers tell imbalanced-learn and scikit-learn of themselves, whether or not the former is installed."""

from dataclasses import dataclass, field

from sklearn.utils import InputTags, Tags


@dataclass(slots=True)
class SamplerInputTags(InputTags):
    """scikit-learn's tags of inputs, and imbalanced-learn's own."""

    dataframe: bool = True


@dataclass(slots=True)
class SamplerTags:
    """imbalanced-learn's: whether `sample_indices_` says which rows were taken."""

    sample_indices: bool = False


@dataclass(slots=True)
class OverSamplerTags(Tags):
    """scikit-learn's tags, and imbalanced-learn's own."""

    sampler_tags: SamplerTags = field(default_factory=SamplerTags)
