"""Sceau's sealed format in Python, written from docs/format.md alone: a companion for reading it.

Each module names the section it implements. Opening is what it is about; sealing is there as far as the tests need it.
Nothing is optimised.
"""
