"""How long this process computes before the system lets another one compute: a choice for whoever owns the process."""

from voxlogica.kernels import _masks

MILLISECONDS = 100  # the most that Linux gives


def lengthen() -> bool:
    """Ask for turns of 100 ms, where by default they are some 3; false where the system knows none.

    By default Linux changes so often between those who want a processor that processes that start together take each
    other's caches: eight of ours lost an eighth of their time by it. Who has long turns waits longer for the next one,
    so that programs with which people work go first. To be called early, by the main thread, in a process that is ours:
    threads have what their maker had.
    """
    return _masks.long_turns(MILLISECONDS)
