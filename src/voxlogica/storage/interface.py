"""What a storage backend promises, and the plain data that goes in and out of it.

The promises, one conformance test each (`conformance.py`):

1. At most one claim of an id is held at a time, and none while its success is stored.
2. Whoever waits is woken by an event: by a success, by a failure, or because the owner gave up. Nothing polls.
3. When an owner gives up, exactly one of those who wait to claim inherits.
4. A failure is an outcome; it never replaces a success, and a success replaces it.

How values are encoded is each backend's own; that an id determines its value is everybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from voxlogica._dataclass import NamedTuple, dataclass, field
from voxlogica.identity import Id
from voxlogica.values import Record, Value

TaskId: TypeAlias = Id
"""A task is named by the content id of the formula whose value it produces."""

Kind: TypeAlias = Literal["definite", "circumstance"]


class Ref(Protocol):
    """A stored value that has not been opened yet."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory the value takes when opened."""
        ...

    def open(self) -> Value:
        """The value. Raises `Missing` when it was collected or damaged since it was looked up."""
        ...


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task failed, as data: it outlives the exception, the process and the machine.

    `definite`: the operator raised, and would again: an answer for everybody. `circumstance`: memory, disk, time; an
    answer only for who was already waiting. `task` is the task that failed, which need not be the one whose outcome
    this is: the private inputs of a task fail in its name. `type` names the exception; `operator` and `position` say
    where in the program; `limits` under which limits, as (name, value); `duration` is in seconds.
    """

    kind: Kind
    type: str
    message: str
    details: tuple[str, ...] = ()
    help: str = ""
    traceback: str = ""
    task: TaskId | None = None
    operator: str = ""
    position: str = ""
    attempt: int = 1
    limits: tuple[tuple[str, float], ...] = ()
    duration: float = 0.0


@dataclass(slots=True, unsafe_hash=True)  # not frozen: one is made at every hit, and that would be a twentieth of it
class Done:
    """A success; the value is behind `ref`. Nobody changes it."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure."""

    error: TaskError


Outcome: TypeAlias = Done | Failed


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a value was made. `when` is in seconds since 1970, `libraries` are (name, version)."""

    operator: str
    version: int
    arguments: tuple[TaskId, ...] = ()
    seconds: float = 0.0
    bytes: int = 0
    when: float = 0.0
    host: str = ""
    libraries: tuple[tuple[str, str], ...] = ()
    position: str = ""


@dataclass(eq=False, slots=True)  # not frozen, as above
class Claim:
    """The right to compute `id`, held by whoever has this object; as a context manager it is given back on leaving.

    A claim ends by `store`, `mark_failed` or `release`, whichever comes first; releasing an ended one does nothing.
    """

    id: TaskId
    backend: StorageBackend = field(repr=False)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.backend.release(self)


@dataclass(frozen=True, eq=False, slots=True)
class Pins:
    """Keeps stored values from being collected until closed; what was gone before stays gone, so look again."""

    ids: frozenset[TaskId]
    close: Callable[[], None] = field(repr=False)

    def __enter__(self) -> Pins:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a clean-up removed: rows of failures, blobs without a row, leftovers of writers that died."""

    failures: int = 0
    orphans: int = 0
    leftovers: int = 0


class StoreFull(Exception):
    """The store cannot take this value: disk full, read-only, or over its limit."""


class Missing(LookupError):
    """A value that was stored is no longer there, or is damaged: compute it again."""


class StorageBackend(Protocol):
    """Outcomes of tasks, shared by whoever uses the same store: threads, processes, machines."""

    def lookup(self, id: TaskId) -> Outcome | None:
        """What became of a task; None when nobody has finished it."""
        ...

    def known(self, ids: Iterable[TaskId]) -> dict[TaskId, Outcome]:
        """The outcomes there are for these ids, for planning."""
        ...

    def agreed(self, name: str, text: str) -> str:
        """What all who share the store go by under a name: the text that came first. Opaque to the store."""
        ...

    def pin(self, ids: Iterable[TaskId]) -> Pins:
        """Keeps these from collection until the pins are closed."""
        ...

    def claim(self, id: TaskId, *, timeout: float | None = 0) -> Claim | Outcome | None:
        """The right to compute a task, or what became of it, or None when somebody else still has it.

        Waits `timeout` seconds for the owner, without end when it is None. A stored failure by circumstance is
        no answer to a new claim; one that comes while waiting is. When an owner gives up, one of those who wait here
        inherits.
        """
        ...

    def release(self, claim: Claim) -> None:
        """Gives a claim back, nothing stored; does nothing to one that has ended."""
        ...

    def accepts(self, bytes: int) -> bool:
        """Whether a value of this size would be taken now. If not, better not claim it: nobody would get it."""
        ...

    def store(self, claim: Claim, value: Value, made: Provenance, *, goal: bool = False) -> Done:
        """Publishes a value, then ends the claim. Raises `StoreFull`, which ends the claim too.

        A `goal` is somebody's result, and may be kept safer than the rest.
        """
        ...

    def store_all(self, publications: Sequence[Publication]) -> list[Done | StoreFull]:
        """What `store` does, for several at once, which takes less; what it raises is returned."""
        ...

    def offer(self, id: TaskId, value: Value, made: Provenance) -> None:
        """Stores a value that was computed without a claim, unless a success is there already."""
        ...

    def mark_failed(self, claim: Claim, error: TaskError) -> Failed:
        """Publishes a failure, unless a success is there already, then ends the claim."""
        ...

    def wait_for_completion(self, id: TaskId, timeout: float | None = None) -> Outcome | None:
        """What became of a task, when its owner has finished; None when nobody owns it now, so claim it or stop.

        Raises `TimeoutError`.
        """
        ...

    def cleanup_failed_executions(
        self,
        *,
        ids: Iterable[TaskId] | None = None,
        kind: Kind | None = None,
        older_than: float | None = None,
    ) -> CleanupReport:
        """Forgets failures, so that they are tried again: of these ids, of this kind, older than so many seconds."""
        ...


class Publication(NamedTuple):
    """A value to be published, and the claim that ends by it."""

    claim: Claim
    value: Value
    made: Provenance
    goal: bool = False


@runtime_checkable
class Lending(Protocol):
    """What a backend has besides whose claims are locks of this process: others can be made to hold them too."""

    def lent(self, claim: Claim) -> AbstractContextManager[tuple[int, ...]]:
        """The descriptors for a child process to inherit, open as long as the context.

        The claim then lives until it is ended here, or this process and the child have both died.
        """
        ...


class Notes(Protocol):
    """Where a process notes what its workers run, for those who come after it."""

    def running(self, slot: int, id: TaskId | None) -> None:
        """A worker runs a task; None when it has ended."""
        ...


@runtime_checkable
class Lasting(Protocol):
    """What a store that outlives processes has besides: it knows what they were running when they died."""

    @property
    def live(self) -> Notes | None:
        """This process's notes; None when it may not write."""
        ...

    def suspects(self) -> dict[TaskId, tuple[int, int]]:
        """How often each task was running when its process died, and how often it was alone."""
        ...

    def killed(self, id: TaskId) -> int:
        """Notes that a task died alone in a process of its own; how often it has."""
        ...

    def elsewhere(self) -> int:
        """How many kernels other processes run now."""
        ...


def size(value: Value) -> int:
    """Bytes of memory a value holds; a round figure for scalars."""
    if isinstance(value, (bytes, str)):
        return 50 + len(value)
    if isinstance(value, (bool, float, int)):
        return 32
    if isinstance(value, tuple):
        return 50 + sum([size(each) for each in value])
    if isinstance(value, Record):
        return 50 + sum([50 + size(each) for each in value.values()])
    return value.nbytes
