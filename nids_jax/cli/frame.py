"""The frame around every main: flags, exit codes, the process's JAX settings."""

import sys
from collections.abc import Callable

from absl import app, flags, logging

from nids_jax.errors import InputError
from nids_jax.runtime import enable_compilation_cache, use_all_cores
from nids_jax.training.loop import TrainingError

FLAGS = flags.FLAGS


def no_arguments(argv: list[str]) -> None:
    """Refuses what is left of the command line after the flags.

    Raises:
      InputError: there is something left.
    """
    if len(argv) > 1:
        raise InputError(f"unexpected argument {argv[1]!r}; flags are written --name=value")


def run(main: Callable[[list[str]], None]) -> None:
    """Run a main: exit status 0 done, 2 bad input (one sentence on standard error), 130 interrupted."""

    def guarded(argv: list[str]) -> int:
        logging.set_verbosity(logging.WARNING)  # JAX reports absent accelerators at INFO
        enable_compilation_cache()
        use_all_cores()
        try:
            main(argv)
        except (InputError, TrainingError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except MemoryError as error:
            print(f"error: not enough memory ({error}); ask for fewer rows", file=sys.stderr)
            return 2
        except OSError as error:
            print(f"error: {error.strerror}: {error.filename}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted; what was finished is kept, so run the same command again", file=sys.stderr)
            return 130
        return 0

    def parse(argv: list[str]) -> list[str]:
        try:
            return FLAGS(argv)
        except flags.Error as error:
            first = " ".join(str(error).split())
            print(f"error: {first}", file=sys.stderr)
            sys.exit(2)

    app.run(guarded, flags_parser=parse)
