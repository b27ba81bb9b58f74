"""The one exception that a user's input causes."""


class InputError(ValueError):
    """Bad input: one sentence that says what is wrong, where, with which value, and what to do.

    Command-line programs print it and exit with status 2; library callers catch it as a ValueError.
    """
