"""Many things to do, a few at a time: what they yield, as it comes, from a window of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Window(Generic[Item, Result]):
    """Iterating yields the results of `work(item)` for every item, in the order in which they come.

    `width` items are in hand at once, however many there are, and `width` results at most wait to be taken: what is
    needed for an item is made when its turn comes. `cancel` is called once when the iteration is left early, or by
    `close`, so that work in progress ends soon; no item is begun afterwards. An exception of `work` is raised here.
    """

    def __init__(
        self,
        items: Iterable[Item],
        work: Callable[[Item], Iterator[Result]],
        width: int,
        cancel: Callable[[], None],
    ) -> None:
        self._items, self._work, self._width, self._cancel = iter(items), work, width, cancel
        self._next = Lock()  # guards the items
        self._room = Semaphore(width)
        self._results: SimpleQueue[Result | _Ended | _Raised] = SimpleQueue()
        self._stopped = False

    def __iter__(self) -> Iterator[Result]:
        running = self._width
        try:
            for _ in range(self._width):
                # Daemons: who interrupts does not wait for kernels.
                Thread(target=self._main, daemon=True, name="voxlogica-case").start()
            while running:
                result = self._results.get()
                if isinstance(result, _Ended):
                    running -= 1
                elif isinstance(result, _Raised):
                    raise result.error
                elif self._stopped:
                    return
                else:
                    yield result
                    self._room.release()
        finally:
            if running:
                self.close()

    def close(self) -> None:
        """Begins nothing more and cancels what is in hand; ends the iteration, in whatever thread it waits."""
        if not self._stopped:
            self._stopped = True
            self._cancel()
            self._room.release(self._width)  # threads that wait to hand over look, and end
            for _ in range(self._width):
                self._results.put(_Ended())

    def _main(self) -> None:
        try:
            while (item := self._taken()) is not None:
                for result in self._work(item[0]):
                    self._room.acquire()
                    if self._stopped:
                        return
                    self._results.put(result)
                    del result
            self._results.put(_Ended())
        except BaseException as error:  # noqa: BLE001 - a thread's outermost frame; it is raised where it is awaited
            self._results.put(_Raised(error))

    def _taken(self) -> tuple[Item] | None:
        with self._next:
            if self._stopped:
                return None
            for item in self._items:
                return (item,)
            return None


class _Ended:
    """A thread has no more to do."""


class _Raised:
    """A thread failed."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
