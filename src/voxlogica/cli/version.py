"""`voxlogica version`."""

from __future__ import annotations

import json

from voxlogica._version import VERSION
from voxlogica.cli.arguments import Options


def version(options: Options) -> int:
    """Says the version."""
    print(json.dumps({"voxlogica": VERSION}) if options.json else f"voxlogica {VERSION}")
    return 0
