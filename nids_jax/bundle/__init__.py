"""A trained detector as a folder: `model.json`, arrays, a card, and a program that runs without this package.

Nothing in it is code that loading would run, and nothing is pickled.
"""
