"""The settings of commands that read captures, and the captures that a user names."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nids_jax.cli.output import warn
from nids_jax.errors import InputError
from nids_jax.flows.compat import DEFAULT, Compat
from nids_jax.flows.rotated import is_capture
from nids_jax.folders import passed_over, search
from nids_jax.settings import setting

if TYPE_CHECKING:
    from nids_jax.flows.meter import Flows
    from nids_jax.flows.metering import CaptureMeter, MeterOptions


@dataclass(frozen=True, kw_only=True)
class Metering:
    """How captures are metered:"""

    flow_timeout: float = setting(
        120.0, "Seconds after its first packet that a record ends; its connection goes on in another."
    )
    activity_timeout: float = setting(5.0, "Seconds of silence that end an active period.")
    max_flows: int = setting(
        1 << 18, "Flows at work at once; beyond, the one that began first ends early (1 kB each).", least=1
    )
    decapsulate: bool = setting(False, "Read the packets inside tunnels: GRE, IP in IP, VXLAN, Geneve, GTP-U.")
    compat: Compat = setting(
        DEFAULT,
        "Whose flow records: none: a record for each connection, and features that mean what their names say; "
        "corrected: as in the corrected CIC-IDS2017; cicflowmeter: today's CICFlowMeter with its defects; or as that "
        "dataset was metered.",
    )

    def __post_init__(self) -> None:
        for name in ("flow_timeout", "activity_timeout"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 1e-6 <= value <= 1e9):
                raise InputError(f"`{name}` is {value}; give seconds from 0.000001 to 1,000,000,000")

    def options(self) -> "MeterOptions":
        """For the library."""
        from nids_jax.flows.metering import MeterOptions

        return MeterOptions(
            compat=self.compat,
            timeout_us=round(self.flow_timeout * 1e6),
            activity_timeout_us=round(self.activity_timeout * 1e6),
            most_flows=self.max_flows,
            decapsulate=self.decapsulate,
        )


class Named(NamedTuple):
    """A capture file."""

    path: Path
    in_folder: bool  # that was named, rather than the file itself: one that cannot be read is passed over


def captures_in(names: Sequence[str], flag: str) -> list[Named]:
    """Every file once, however often it is named; of folders the captures in them at any depth.

    Raises:
      InputError: none is named, or a folder holds none.
    """
    if not names or not all(names):
        raise InputError(
            f"`{flag}` has {','.join(names)!r}; name pcap or pcapng files, or folders, with a comma between"
        )
    found: dict[Path, Named] = {}
    for name in names:
        path = Path(name)
        inside = [path]
        if path.is_dir():
            inside, others = search(path, is_capture)
            if not inside:
                raise InputError(
                    f"`{flag}` names the folder {path}, but no file in it is named like a capture (*.pcap)"
                )
            if others:
                warn(passed_over(others))
        for each in inside:
            found.setdefault(each.resolve(), Named(each, path.is_dir()))
    return list(found.values())


def flows_of(
    work: "CaptureMeter", captures: Sequence[Named], say: Callable[[str], object], *, joined: bool = False
) -> Iterator["Flows"]:
    """The flows of captures, each metered by itself, or all as pieces of one; what became of the packets is said.

    Raises:
      InputError: a capture that was named cannot be read, or is none.
    """
    from nids_jax.flows.capture.source import Source

    for path, in_folder in captures:
        try:
            with Source.open(path) as source:
                yield from work.take(source, str(path))
        except InputError as error:
            if not in_folder:
                raise
            warn(f"passed over: {error}")
        if not joined:
            yield from work.finish()
            # What the terminal cannot show of a file's name is written as an escape.
            say(f"{os.fsencode(path).decode('utf-8', 'backslashreplace')}: {work.new_account()}")
    if joined:
        yield from work.finish()
        say(f"all captures: {work.new_account()}")
