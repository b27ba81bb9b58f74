"""Verdicts of a model on captures and tables of flows, and how they are told."""
