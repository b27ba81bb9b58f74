"""Any experiment from the command line: its flags, its flows, its runs, its report."""

from collections.abc import Sequence
from typing import Any

from nids_jax import store
from nids_jax.classifiers.registry import CLASSIFIERS
from nids_jax.cli import options
from nids_jax.cli.flags import Flags
from nids_jax.cli.output import say, warn
from nids_jax.errors import InputError
from nids_jax.generators.registry import GENERATORS
from nids_jax.locks import hold
from nids_jax.pipeline.names import TrainingSetName
from nids_jax.pipeline.runner import Runner
from nids_jax.protocols.base import Protocol
from nids_jax.report.page import build_report
from nids_jax.report.tables import summary_text, verdict
from nids_jax.training.callbacks import writers


def flags_of(protocol: type[Protocol]) -> Flags:
    """The flags of an experiment: its own settings, and those that concern it of the shared ones."""
    groups: list[type] = [protocol]
    if not hasattr(protocol, "read"):
        groups.append(options.Data)
    groups.append(options.Models)
    if _trains_generators(protocol):
        groups += [options.Rounds, options.Diffusion]
    return Flags([*groups, options.Output])


def run(protocol: type[Protocol], arguments: Sequence[str]) -> None:
    """Do what the command line asks for and is not recorded yet, and report.

    Raises:
      InputError: flags that do not go together, or whatever the reading and the runs refuse.
      TrainingError: a training diverged; what the others found is recorded.
    """
    given = flags_of(protocol)
    given.parse(arguments)
    if "seeds" in given.names and given.given("seeds") and given.given("split_seeds"):
        raise InputError("`seeds` and `split_seeds` both say which splits to run; give one of them")
    output = given.build(options.Output)
    data = given.build(options.Data) if options.Data in given.groups else None
    further: dict[str, Any] = {"preset": given.build(options.Models).chosen()}
    for group in (options.Rounds, options.Diffusion):
        if group in given.groups:
            further["preset"] = given.build(group).apply(further["preset"])
    if data is not None:
        further["dataset"] = data.name
        if hasattr(protocol, "data_dir"):
            further["data_dir"] = data.data_dir
    job: Any = given.build(protocol, **further)
    _refuse_idle_flags(given, job)
    output_dir, shard, executor = output.folder(), output.share(), output.executor()
    # Before the folder is made: captures that cannot be read leave none behind.
    own: Any = None if data is not None else job.read()
    changes = {"dataset": job.dataset, "preset_version": options.version_of(further["preset"])}
    changes |= getattr(job, "fixed", {})
    if given.values().get("own_tools"):
        changes["own_tools_version"] = options.version_of(sorted(map(repr, job.simulation.own.values())))
    if given.values().get("rates"):
        changes["tuned_on"] = "rows set aside"  # earlier versions tuned on rows that the splits share
    command = ["nids_jax", protocol.name, *arguments]
    recorded = bool(store.read(output_dir))
    with hold(output_dir, "output_dir", command, may_be_read_only=recorded) as writable:
        (store.write_config if writable else store.check_config)(output_dir, {**given.values(), **changes})
        table, found = data.read() if data is not None else (own, {})
        found["fingerprint"] = options.same_rows(output_dir, table)
        if writable:
            store.write_json(output_dir / "data.json", {**job.describe(table), **found})
        with writers(output_dir, output.log_to), executor as place:
            job.run(table, Runner(output_dir=output_dir, command=command, say=say, shard=shard, executor=place))
        page = build_report(output_dir) if writable else None
    records = store.read(output_dir)
    say(*summary_text(records).split("\n"), *verdict(records))
    if page is None:
        warn(f"{output_dir} cannot be written, so the report there stays as it is")
    else:
        say("", f"report: {page}")


def _trains_generators(protocol: type[Protocol]) -> bool:
    return "generators" in protocol.__dataclass_fields__


def _refuse_idle_flags(given: Flags, job: Any) -> None:
    """Refuse flags about neural detectors, CDDPM, or training, where no detector or generator is of that kind.

    Raises:
      InputError: there is one.
    """
    values = given.values()
    idle = [name for name in ("detector_steps", "early_stopping", "epochs", "rates") if values.get(name)]
    if idle and not any(CLASSIFIERS[name].neural for name in job.classifiers):
        raise InputError(
            f"`{idle[0]}` is about neural detectors, and `classifiers` names none ({', '.join(job.classifiers)}); "
            "leave it out"
        )
    if options.Diffusion not in given.groups:
        return
    specs = [GENERATORS.get(TrainingSetName(name).generator) for name in job.generators]
    families = {spec.family for spec in specs if spec is not None}
    names = [each.name for each in options.Diffusion.__dataclass_fields__.values()]
    if given.given("rounds") and not any(families):
        raise InputError(
            f"`rounds` is about generators that are trained, and `generators` names none "
            f"({', '.join(job.generators)}); leave it out"
        )
    idle = [name for name in names if given.given(name)]
    if idle and "cddpm" not in families:
        raise InputError(
            f"`{idle[0]}` is about cddpm, and `generators` names none that samples one ({', '.join(job.generators)}); "
            "leave it out"
        )
