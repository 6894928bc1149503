"""`voxlogica operators`: the words of the language."""

from __future__ import annotations

import json
import re
import sys
from difflib import get_close_matches
from itertools import groupby

from voxlogica.check.manual import Entry, entries, foreign
from voxlogica.cli.arguments import Options
from voxlogica.cli.text import coloured
from voxlogica.errors import Diagnostic, ProgramError

_FORMS = {
    "load": 'load scan = "scan.nii.gz"', "let": "let bright = image >. 300", "in": "let x = 2 in x * x",
    "print": 'print "voxels" volume(bright)', "save": 'save "bright.nii.gz" bright', "import": 'import "library.imgql"',
    "for": "for x in xs do x * 10", "do": "for x in xs do x * 10", "filter": "filter x in xs do x > 2",
    "fold": "fold + xs", "true": "let strict = true", "false": "let strict = false",
}  # fmt: skip
"""Words of the language that are no operators, each in an example."""

_MOST = 8  # operators that are named when a word is in their names or texts


def operators(options: Options) -> int:
    """Lists them, or explains one."""
    known = entries()
    if options.name is not None:
        found = _meant(options.name, known) or _meant(options.name, foreign())
        if not found:
            raise _no_such(options.name, (*known, *foreign()))
        known = tuple(found)
    if options.json:
        print(json.dumps([_as_data(entry) for entry in known], indent=1, ensure_ascii=False))
    elif options.name is not None:
        print("\n\n".join(_explained(entry) for entry in known))
    else:
        print(_listed(known))
    return 0


def _meant(name: str, known: tuple[Entry, ...]) -> list[Entry]:
    """The entries of a name, with or without its namespace; of a namespace all."""
    found = [entry for entry in known if name in (entry.name, entry.name.rpartition(".")[2])]
    return found or [entry for entry in known if entry.name.startswith(f"{name}.")]


def _no_such(name: str, known: tuple[Entry, ...]) -> ProgramError:
    if name in _FORMS:
        message, help = f"`{name}` is a word of the language, and no operator", f"for example   {_FORMS[name]}"
        return ProgramError(Diagnostic("usage", message, help=help))
    close = get_close_matches(name, [entry.name for entry in known], 1)
    meant = f"did you mean `{close[0]}`? " if close else ""
    help = f"{meant}`voxlogica operators` lists all of them"
    word = name.lower()
    begun = re.compile(rf"\b{re.escape(word)}")
    about = dict.fromkeys(e.name for e in known if word in e.name.lower() or begun.search(e.doc.lower()))
    some = ", ".join(list(about)[:_MOST]) + (", …" if len(about) > _MOST else "")
    details = (f"the word is in {some}",) if about and len(word) > 2 else ()
    return ProgramError(Diagnostic("usage", f"there is no operator `{name}`", details=details, help=help))


def _listed(known: tuple[Entry, ...]) -> str:
    width = min(44, max(len(entry.signature) for entry in known))
    blocks = []
    for section, group in groupby(known, key=lambda entry: entry.section):
        rows = []
        for entry in group:
            rows.append(f"  {entry.signature:<{width}}  {_short(entry.summary, 118 - width)}")
        blocks.append("\n".join([_bold(section), *rows]))
    blocks.append("`voxlogica operators NAME` explains one.")
    return "\n\n".join(blocks)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if coloured(sys.stdout) else text


def _explained(entry: Entry) -> str:
    lines = [_bold(entry.signature), "", *entry.doc.split("\n")]
    if entry.fields:
        lines += ["", "fields:", *(f"    {name}: {kind}" for name, kind in entry.fields.items())]
    if entry.definition:
        lines += ["", f"defined in the library {entry.section}:", "", f"    {entry.definition}"]
    return "\n".join(lines).rstrip()


def _as_data(entry: Entry) -> dict[str, object]:
    return {
        "name": entry.name,
        "signature": entry.signature,
        "section": entry.section,
        "doc": entry.doc,
        **({"fields": {name: str(kind) for name, kind in entry.fields.items()}} if entry.fields else {}),
        **({"definition": entry.definition} if entry.definition else {"version": entry.version, "cost": entry.cost}),
    }
