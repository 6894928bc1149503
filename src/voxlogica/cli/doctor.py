"""`voxlogica doctor`: whether this installation works; what does not, and what to do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from voxlogica._dataclass import asdict, dataclass
from voxlogica._version import VERSION
from voxlogica.cli import STATUS
from voxlogica.cli.arguments import Options
from voxlogica.cli.text import coloured, columns, emit
from voxlogica.errors import MachineError, human_size, reason_of
from voxlogica.execution import limits
from voxlogica.values import counted

if TYPE_CHECKING:
    from voxlogica.kernels.arrays import Words

PYTHON = (3, 11)
PACKAGES: Mapping[str, str] = {
    "apsw": "3.51.3.0", "isal": "1.7", "nibabel": "5.2", "numpy": "1.26", "pillow": "10.3", "platformdirs": "4.0",
    "psutil": "5.9", "rich": "13.7", "SimpleITK": "2.4",
}  # fmt: skip
"""The least versions, as pyproject.toml has them."""
_KERNELS = ("voxlogica.kernels._masks", "voxlogica.kernels._fields")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, and, when something is wrong with it, what to do."""

    name: str
    found: str
    help: str = ""
    details: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether there is nothing to do."""
        return not self.help


def doctor(options: Options) -> int:
    """Looks at everything; the status is 0 when all is well."""
    findings = list(_findings(options))
    ill = [finding for finding in findings if not finding.well]
    status = STATUS[MachineError] if ill else 0
    if options.json:
        emit({"findings": [{**asdict(each), "well": each.well} for each in findings], "status": status})
        return status
    print("\n".join(columns([("ok" if each.well else "BAD", each.name, each.found) for each in findings])))
    for each in ill:
        print("\n" + "\n".join([f"{each.name}: {each.found}", *(f"  {line}" for line in each.details)]))
        print(f"  help: {each.help}")
    print(f"\n{len(ill)} of {len(findings)} need something done" if ill else "\nall is well")
    return status


def _findings(options: Options) -> Iterator[Finding]:
    yield Finding("VoxLogicA", f"{VERSION} in {Path(__file__).parent.parent}")
    yield _python()
    for name, least in PACKAGES.items():
        yield _package(name, least)
    yield _sqlite()
    yield _kernels()
    yield Finding("processors", f"{limits.processors()} may be used of {os.cpu_count()}")
    share = human_size(limits.SHARE * limits.memory())
    yield Finding("memory", f"{human_size(limits.memory())} may be used, {share} of it by values")
    if options.no_store:
        yield Finding("store", "none (--no-store)")
    else:
        yield _store(options.store)
    yield _terminal()


def _python() -> Finding:
    found = f"{platform.python_version()} ({platform.system()} {platform.machine()})"
    least = ".".join(map(str, PYTHON))
    return Finding("Python", found, "" if sys.version_info >= PYTHON else f"VoxLogicA needs Python {least} or newer")


def _package(name: str, least: str) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "is not installed", f"pip install '{name}>={least}'")
    old = _parts(version) < _parts(least)
    return Finding(name, version, f"{least} is needed: pip install --upgrade '{name}>={least}'" if old else "")


def _parts(version: str) -> tuple[int, ...]:
    """The numbers a version begins with: of 2.4.0rc1 2, 4, 0."""
    begin = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, begin[0].split("."))) if begin else ()


def _sqlite() -> Finding:
    try:
        import apsw
    except ImportError as error:
        return Finding("SQLite", f"cannot be loaded: {error}", "pip install --force-reinstall apsw")
    return Finding("SQLite", apsw.sqlite_lib_version())


def _kernels() -> Finding:
    """The compiled code: whether it loads, and finds what is to be found in an image of 5 x 5 x 5 voxels."""
    help = "build them again: pip install --force-reinstall . in a clone; a C++ compiler is needed"
    try:
        for name in _KERNELS:
            import_module(name)
        wrong = [name for name, right in _SELF_TESTS.items() if not right()]
    except ImportError as error:
        return Finding("kernels", f"cannot be loaded: {error}", help)
    if wrong:
        return Finding("kernels", f"compute something wrong: {', '.join(wrong)}", help)
    return Finding("kernels", f"loaded; {', '.join(_SELF_TESTS)} are right on a tiny image")


def _near() -> bool:
    from voxlogica.kernels import masks

    near = masks.near(_centre(), 5)
    return masks.count(near) == 27 and masks.equal(masks.interior(near, 5), _centre())


def _through() -> bool:
    from voxlogica.kernels import masks

    everything = masks.full((5, 5, 5), True)
    return masks.equal(masks.through(_centre(), everything, 5), everything)


def _distance() -> bool:
    from voxlogica.kernels import fields

    found = fields.distance(_centre(), 5, (1.0, 1.0, 2.0))
    # One spacing is twice the others: to the corner sqrt(2² + 2² + 4²).
    return abs(fields.maximum(found) - 24**0.5) < 1e-6


def _centre() -> Words:
    """A mask of 5 x 5 x 5 voxels in which the middle one holds."""
    import numpy as np

    from voxlogica.kernels import masks

    voxels = np.zeros((5, 5, 5), dtype=np.uint8)
    voxels[2, 2, 2] = 1
    return masks.pack(voxels)


_SELF_TESTS: Mapping[str, Callable[[], bool]] = {"near": _near, "through": _through, "distance": _distance}


def _store(chosen: Path | None) -> Finding:
    """Opens the store, as a run would, and makes one if there is none: only so is it known to work."""
    try:
        from voxlogica.session.store import directory
        from voxlogica.storage.embedded import EmbeddedStorage
        from voxlogica.storage.locks import file_system

        place = chosen or directory()
    except ImportError as error:
        return Finding("store", f"cannot be looked at: {error}", "install first what is missing")
    try:
        with EmbeddedStorage(place) as store:
            stats, limit = store.stats(), store.limit
    except MachineError as error:
        (said,) = error.diagnostics
        return Finding("store", said.message, said.help or "choose another directory with --store", said.details)
    except OSError as error:
        reason = reason_of(error)
        return Finding("store", f"{place} cannot be used: {reason}", "choose another directory with --store")
    free = shutil.disk_usage(place).free
    kind = file_system(place) or "unknown"
    used = f"{counted(stats.outcomes, 'result')}, {human_size(stats.bytes)} of at most {human_size(limit)}"
    return Finding("store", f"{place} ({kind} file system, {human_size(free)} free): {used}")


def _terminal() -> Finding:
    encoding = sys.stdout.encoding or "unknown"
    if sys.stdout.isatty():
        width, colours = shutil.get_terminal_size().columns, "colours" if coloured(sys.stdout) else "no colours"
        found = f"{width} columns, {colours}, {encoding}"
    else:
        found = f"none: the output goes to a file or a pipe, {encoding}"
    return Finding("terminal", found)
