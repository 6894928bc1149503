"""`voxlogica store …`: looking at what is stored, verifying it, making room."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from voxlogica._dataclass import asdict
from voxlogica.cli.arguments import Options
from voxlogica.cli.text import emit, human_time, notice
from voxlogica.errors import MachineError, ProgramError, human_size, reason_of
from voxlogica.identity import Id
from voxlogica.session import store as stores
from voxlogica.storage import Done, Failed, Missing, StoreFull
from voxlogica.storage.embedded import EmbeddedStorage
from voxlogica.storage.listing import Entry
from voxlogica.storage.locks import Replaced
from voxlogica.values import counted, shown

PINNED = "by hand"
"""The name under which ids are pinned from the command line."""


def _open(options: Options) -> EmbeddedStorage:
    """The store that is meant; looking does not make one."""
    directory = options.store or stores.directory()
    try:
        there = (directory / "catalog.db").exists()
    except OSError as error:
        raise MachineError.of("store", f"the store {directory} cannot be looked at: {reason_of(error)}",
                              help="is it yours? another is chosen with --store DIR") from error  # fmt: skip
    if not there:
        raise ProgramError.of(
            "store", f"there is no store in {directory}", help="a run makes one; another is chosen with --store DIR"
        )
    return EmbeddedStorage(directory, tell=None if options.json else notice)


@contextmanager
def _changing(options: Options) -> Iterator[EmbeddedStorage]:
    """The store that is meant, for a command that changes it."""
    with _open(options) as store:
        if not store.writable:
            raise MachineError.of("store", f"the store {store.directory} is read only, so that nothing can be changed",
                                  help="`store info`, `list`, `show`, `why` and `verify` only read")  # fmt: skip
        try:
            yield store
        except (OSError, Replaced, StoreFull) as error:
            if isinstance(error, OSError) and not error.filename:
                raise  # the output's
            if isinstance(error, Replaced) or not store.directory.exists():
                why = "it was removed meanwhile"
            else:
                why = f"{error.filename}: {reason_of(error)}" if isinstance(error, OSError) else str(error)
            raise MachineError.of("store", f"the store {store.directory} could not be changed: {why}") from error


def _id(store: EmbeddedStorage, text: str) -> Id:
    """The id that begins so."""
    if not text or len(text) > 64 or any(c not in "0123456789abcdef" for c in text.lower()):
        raise ProgramError.of("usage", f"{text or 'an empty text'} is not the beginning of an id",
                              help="ids are written with the digits 0 to 9 and a to f")  # fmt: skip
    found = store.listing.find(text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise ProgramError.of("usage", f"no id in {store.directory} begins with {text}",
                              help="`voxlogica store list` shows the latest")  # fmt: skip
    raise ProgramError.of("usage", f"several ids begin with {text}", details=tuple(id.hex() for id in found),
                          help="write more of it")  # fmt: skip


def info(options: Options) -> int:
    """How much is stored."""
    with _open(options) as store:
        stats, processes, pins = store.stats(), store.processes(), store.records.kept()
        others = [p for p in processes if store.live is None or p.token != store.live.token]
        pinned, runs = sum(len(ids) for ids in pins.values()), store.records.run_count()
        data = {
            "directory": str(store.directory), "outcomes": stats.outcomes, "failures": stats.failures,
            "bytes": stats.bytes, "limit": store.limit, "pinned": pinned,
            "runs": runs, "suspects": len(store.suspects()),
            "processes": [{"pid": p.pid, "host": p.host, "running": [id.hex() for id in p.running.values()]}
                          for p in others],
        }  # fmt: skip
        if options.json:
            emit(data)
            return 0
        print(f"{store.directory}")
        there = (
            counted(stats.outcomes, "result"), counted(stats.failures, "failure"), f"{pinned} pinned",
            counted(runs, "run"),
        )  # fmt: skip
        print(f"  {', '.join(there)}")
        print(f"  {human_size(stats.bytes)} of at most {human_size(store.limit)}")
        for process in others:
            running = ", ".join(id.hex()[:12] for id in process.running.values()) or "nothing now"
            print(f"  process {process.pid} on {process.host} runs {running}")
    return 0


def _as_data(entry: Entry) -> dict[str, object]:
    return {**asdict(entry), "id": entry.id.hex()}


def list_(options: Options) -> int:
    """The latest results."""
    with _open(options) as store:
        entries = store.listing.latest(options.most)
        if options.json:
            emit({"results": [_as_data(entry) for entry in entries]})
            return 0
        if not entries:
            print(f"nothing is stored in {store.directory}")
            return 0
        print(f"{'id':<14}{'operator':<20}{'size':>10}{'seconds':>10}  {'when':<21}where")
        for e in entries:
            word = e.operator if e.outcome == "done" else f"{e.operator} ({e.outcome})"
            size, when = human_size(e.bytes), human_time(e.made)
            print(f"{e.id.hex()[:12]:<14}{word:<20}{size:>10}{e.seconds:>10.3f}  {when:<21}{e.position}")
    return 0


def show(options: Options) -> int:
    """What is known of some results."""
    with _open(options) as store:
        found = [_known(store, _id(store, text)) for text in options.ids]
        if options.json:
            emit({"results": found})
            return 0
        for n, data in enumerate(found):
            lines = [f"{name:<10} {_in_words(name, value)}" for name, value in data.items() if value not in ("", [])]
            print("\n" * (n > 0) + "\n".join(lines))
    return 0


def _in_words(name: str, value: object) -> object:
    """What is known under a name, for people."""
    match name, value:
        case "bytes", int():
            return human_size(value)
        case "made", float():
            return human_time(value)
        case "libraries", dict():
            return ", ".join(f"{library} {version}" for library, version in value.items())
        case "arguments", list():
            return " ".join(str(argument)[:12] for argument in value)
    return value


def _known(store: EmbeddedStorage, id: Id) -> dict[str, object]:
    outcome, entry, made = store.lookup(id), store.listing.entry(id), store.provenance(id)
    data: dict[str, object] = {"id": id.hex()}
    formula = store.records.formula(id)
    if outcome is None or entry is None:
        return {**data, "operator": formula.operator if formula else "", "outcome": "not stored"}
    data |= {"operator": entry.operator, "outcome": entry.outcome, "kind": entry.tag}
    if isinstance(outcome, Done) and entry.tag in ("number", "bool", "string"):
        try:
            value = outcome.ref.open()
        except Missing:
            return {**data, "outcome": "damaged"}
        assert isinstance(value, (bool, float, str))
        data["value"] = shown(value)
    if isinstance(outcome, Failed):
        data |= {"error": outcome.error.message, "help": outcome.error.help}
    data |= {"bytes": entry.bytes, "seconds": round(entry.seconds, 6), "made": entry.made}
    data |= {"host": entry.host, "position": entry.position}
    if made is not None:
        data |= {"version": made.version, "libraries": dict(made.libraries)}
        data["arguments"] = [argument.hex() for argument in made.arguments]
    return data


def why(options: Options) -> int:
    """How results were made, down to the files."""
    with _open(options) as store:
        ids = [_id(store, text) for text in options.ids]
        if options.json:
            emit({id.hex(): stores.origin(store.records, id) for id in ids})
        else:
            print("\n\n".join("\n".join(stores.lines(store.records, id)) for id in ids))
    return 0


def verify(options: Options) -> int:
    """Compares everything with its checksum."""
    with _changing(options) if options.repair else _open(options) as store:
        found = store.verify(repair=options.repair)
        problems = [{"id": problem.id.hex(), "what": problem.what} for problem in found.problems]
        if options.json:
            emit({"outcomes": found.outcomes, "bytes": found.bytes, "catalogue": found.catalogue,
                  "problems": problems, "repaired": found.repaired})  # fmt: skip
        elif found.whole:
            print(f"{counted(found.outcomes, 'result')}, {human_size(found.bytes)}: all are whole")
        else:
            if found.catalogue != "ok":
                print(f"the catalogue: {found.catalogue}")
            for problem in problems:
                print(f"{problem['id'][:12]}  {problem['what']}")
            done = "removed, and computed again when needed" if found.repaired else "--repair removes what is damaged"
            print(f"{len(problems)} of {counted(found.outcomes, 'result')} damaged: {done}")
    return 0 if found.whole or found.repaired else 1


def gc(options: Options) -> int:
    """Makes room."""
    with _changing(options) as store:
        limit = store.limit if options.max_bytes is None else options.max_bytes
        done = store.collect(limit, min_free=options.min_free, older_than=options.older_than)
        _report(options, "removed", done.outcomes, done.bytes)
    return 0


def clear(options: Options) -> int:
    """Removes every result that is neither pinned nor in use."""
    with _changing(options) as store:
        if not (options.yes or _agreed(store, options)):
            help = "to do it without a question:   voxlogica store clear --yes"
            raise ProgramError.of("usage", "nothing was removed", help=help)
        done = store.collect(0, older_than=-1)
        failures = store.cleanup_failed_executions().failures
        _report(options, "removed", done.outcomes + failures, done.bytes)
    return 0


def _agreed(store: EmbeddedStorage, options: Options) -> bool:
    """Whether somebody says yes; who cannot be asked does not."""
    if options.json or not sys.stdin.isatty():
        return False
    stats = store.stats()
    what = f"{counted(stats.outcomes, 'result')} ({human_size(stats.bytes)})"
    try:
        return input(f"remove {what} from {store.directory}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False


def _report(options: Options, word: str, count: int, bytes: int) -> None:
    if options.json:
        emit({word: count, "bytes": bytes})
    else:
        print(f"{word} {counted(count, 'result')}, {human_size(bytes)}")


def pin(options: Options) -> int:
    """Pins results, or says what is pinned."""
    with _changing(options) if options.ids else _open(options) as store:
        if options.ids:
            store.records.keep(PINNED, [_id(store, text) for text in options.ids])
        _show_pins(store, options)
    return 0


def _show_pins(store: EmbeddedStorage, options: Options) -> None:
    kept = store.records.kept()
    if options.json:
        emit({"pins": {name: [id.hex() for id in ids] for name, ids in kept.items()}})
        return
    there = store.known({id for ids in kept.values() for id in ids})
    lines = [f"{id.hex()[:12]}  {name}{'' if id in there else ', not stored now'}"
             for name, ids in kept.items() for id in ids]  # fmt: skip
    print("\n".join(lines) or "nothing is pinned")


def unpin(options: Options) -> int:
    """Ends the pins of some results."""
    with _changing(options) as store:
        ids = {_id(store, text) for text in options.ids}
        for id in ids - set(store.records.kept().get(PINNED, ())):
            if not options.json:
                notice(f"{id.hex()[:12]} was not pinned {PINNED}")
        store.records.let_go(PINNED, ids)
        _show_pins(store, options)
    return 0


def cleanup(options: Options) -> int:
    """Forgets failures and removes leftovers."""
    with _changing(options) as store:
        report = store.cleanup_failed_executions()
        if options.json:
            emit(asdict(report))
        else:
            failures, blobs = counted(report.failures, "failure"), counted(report.orphans, "blob")
            leftovers = counted(report.leftovers, "leftover")
            print(f"forgot {failures}, removed {blobs} that nothing names and {leftovers} of damage and dead processes")
    return 0
