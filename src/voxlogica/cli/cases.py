"""`voxlogica cases`: what a pattern, a table or a folder is taken for, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxlogica.cli.arguments import Options
from voxlogica.cli.text import columns, emit
from voxlogica.errors import ProgramError
from voxlogica.session import Session
from voxlogica.session.studies import Study
from voxlogica.study.cases import Case, Cases, find
from voxlogica.values import counted


def cases(options: Options) -> int:
    """Shows the cases, what was looked for, and what is missing; with a program, the files it would load."""
    if not options.patterns:
        help = "for example   voxlogica cases 'data/{case}/{case}_flair.nii.gz'"
        raise ProgramError.of("usage", "`voxlogica cases` needs a pattern, a table or a directory", help=help)
    found = find(options.patterns)
    study = (
        Study(Session(store=False, library_path=options.library_path).load(options.program_for), found)
        if options.program_for
        else None
    )
    loads = {case.name: study.loads(case) for case in found} if study else {}
    lacking = {case.name: _lacking(case, study, loads.get(case.name, {})) for case in found}
    incomplete = sum(bool(said) for said in lacking.values())
    if options.json:
        listed = [
            {
                "case": case.name, "values": dict(case.values), "files": dict(case.files),
                "missing": lacking[case.name],
                **({"loads": loads[case.name], "sets": study.sets(case)} if study else {}),
            }
            for case in found
        ]  # fmt: skip
        emit({"looked": [{"for": text, "found": count} for text, count in found.looked], "cases": listed})
    else:
        _show(found, study, loads, lacking)
    return 1 if incomplete else 0


def _lacking(case: Case, study: Study | None, loads: dict[str, str]) -> list[str]:
    if study is None:
        return list(case.lacking.values())
    absent = [f"{name}: there is no file {path}" for name, path in loads.items() if not Path(path).exists()]
    return study.lacking(case) or absent


def _show(found: Cases, study: Study | None, loads: dict[str, dict[str, str]], lacking: dict[str, list[str]]) -> None:
    for text, count in found.looked:
        print(f"looked for {text}: {count} found")
    print()
    kinds = list(dict.fromkeys(kind for case in found for kind in (*case.files, *case.lacking)))
    names = list(study.program.inputs) if study else kinds
    rows: list[Sequence[str]] = [("case", *(name or "file" for name in names), "")]
    for case in found:
        files = loads[case.name] if study else case.files
        rows.append((case.name, *(files.get(name, "-") for name in names), "; ".join(lacking[case.name])))
    print("\n".join(columns(rows)))
    if study:
        first = found.items[0]
        sets = ", ".join(f"{name}={value}" for name, value in sorted(study.sets(first).items()))
        print(f"\n{first.name} sets {sets or 'nothing else'}")
    incomplete = sum(bool(said) for said in lacking.values())
    whole = len(found) - incomplete
    print(f"\n{counted(whole, 'case')} complete" + (f", {incomplete} incomplete" if incomplete else ""))
