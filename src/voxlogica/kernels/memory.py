"""How this process's memory is managed for arrays of tens of megabytes: a choice for whoever owns the process."""

from voxlogica.kernels import _masks


def keep_freed() -> bool:
    """Keep what is freed for the next array instead of giving it back; false where the C library is not glibc.

    To be called early, by the main thread, in a process that is ours: a fresh array costs as much in page faults as the
    arithmetic on it. What a process once needed it then keeps until it ends. The first 192 MB come in pages of 2 MB,
    where Linux gives them to who asks (`madvise`): what is fresh all the same costs a fraction of the faults.
    """
    return _masks.keep_freed_memory()


def unwritten(bytes: int) -> bytearray:
    """So many bytes that are anything: for who writes them all, and shows them to nobody before."""
    return _masks.unwritten(bytes)
