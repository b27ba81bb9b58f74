"""The command line: flags made from the settings' dataclasses, one table of exit codes, a module for each command."""
