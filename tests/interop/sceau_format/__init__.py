"""Sceau's sealed format in Python, written from docs/format.md alone: a companion for reading it.

Each module names the section it implements. Only opening is here, besides what a test vector needs; nothing is optimised.
"""
