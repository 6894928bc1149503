"""Timers: one thread for all of them, which sleeps until the next is due; it does not exist before the first is set."""

from __future__ import annotations

import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from threading import Condition, Thread


class Alarms:
    """Calls functions when their time has come, in a thread of its own; they must be quick and not raise."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._changed = Condition()
        self._started = self._stopped = False

    def set(self, seconds: float, action: Callable[[], None]) -> None:
        """Calls `action` in so many seconds."""
        with self._changed:
            heappush(self._heap, (time.monotonic() + seconds, next(self._numbers), action))
            if not self._started:
                self._started = True
                Thread(target=self._ring, daemon=True, name="voxlogica-alarms").start()
            self._changed.notify()

    def stop(self) -> None:
        """No alarm goes off any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _ring(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and (not self._heap or self._heap[0][0] > time.monotonic()):
                    self._changed.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                if self._stopped:
                    return
                action = heappop(self._heap)[2]
            action()
