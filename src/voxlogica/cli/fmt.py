"""`voxlogica fmt`: a program with the brackets that make it mean the same everywhere."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from voxlogica.cli.arguments import Options
from voxlogica.cli.programs import source_of
from voxlogica.errors import MachineError, ProgramError, reason_of
from voxlogica.syntax.formatting import bracketed


def fmt(options: Options) -> int:
    """Prints it, puts it in the file's place, or says whether it would change; returns the exit status."""
    source, path = source_of(options)
    if options.in_place and path is None:
        raise ProgramError.of("usage", "--in-place needs a file", help="without it, what is formatted is printed")
    made = bracketed(source, int(options.dialect) if options.dialect else None)
    changes = made != source.text
    if options.json:
        print(json.dumps({"program": source.name, "changes": changes, "text": made}, ensure_ascii=False))
    elif not options.check and not options.in_place:
        sys.stdout.write(made)
    elif options.check and changes and not options.quiet:
        print(f"{source.name} would change", file=sys.stderr)
    if options.in_place and path is not None and changes:
        _replace(path, made)
    return int(options.check and changes)


def _replace(path: Path, text: str) -> None:
    """Puts a text in a file's place at once, with the file's permissions; the old one stays if anything fails."""
    path = path.resolve()
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=path.parent, delete=False) as file:
            file.write(text)
        made = Path(file.name)
        made.chmod(path.stat().st_mode)
        made.replace(path)
    except OSError as error:
        reason = reason_of(error)
        raise MachineError.of("output", f"{path} cannot be written: {reason}") from error
