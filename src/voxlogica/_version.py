"""The version of the package, as `pyproject.toml` has it; read without importing package metadata, which is slow."""

VERSION = "0.1.0"
