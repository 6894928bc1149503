"""Measurements; each file is one command that prints a table, `python -m benchmarks.NAME`."""
