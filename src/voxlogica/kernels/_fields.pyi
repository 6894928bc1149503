"""The compiled kernels on numeric fields; see fields.py, which checks what is given here and documents it."""

from typing import TypeAlias

from voxlogica.kernels.arrays import Floats, Numbers, WindowNumbers, Words

_Place: TypeAlias = tuple[int, int, int]

def ends_in_zeros(words: Words, nx: int) -> bool: ...
def masked(field: Numbers, words: Words, threads: int, out: Floats) -> None: ...
def luminance(components: Floats, threads: int, out: Floats) -> None: ...
def extremes(field: Numbers, words: Words | None) -> tuple[int, float, float, bool]: ...
def summary(field: Numbers, words: Words) -> tuple[tuple[int, float, float, bool], float]: ...
def sum(field: Numbers, words: Words) -> float: ...
def distance(mask: Words, contour: Words, spacing: tuple[float, float, float], threads: int, out: Floats) -> None: ...
def percentiles(field: Numbers, words: Words, weight: float, threads: int, out: Floats) -> bool: ...
def rank_table(field: Numbers, words: Words, weight: float, out: Floats) -> None: ...
def ranked(field: Numbers, words: Words, table: Floats, out: Floats) -> None: ...
def correlation(
    a: Numbers,
    b: Numbers,
    phi: Words,
    radius: _Place,
    low: float,
    high: float,
    bins: int,
    threads: int,
    out: Floats,
) -> None: ...
def window_box(
    field: Numbers, radius: _Place, low: float, high: float, bins: int, threads: int
) -> tuple[_Place, _Place]: ...
def windows(
    field: Numbers,
    radius: _Place,
    low: float,
    high: float,
    bins: int,
    at: _Place,
    threads: int,
    out: WindowNumbers,
) -> None: ...
def correlation_of(
    windows: WindowNumbers,
    at: _Place,
    b: Numbers | None,
    phi: Words,
    radius: _Place,
    low: float,
    high: float,
    bins: int,
    threads: int,
    out: Floats,
) -> None: ...
def compare_correlation(
    windows: WindowNumbers,
    at: _Place,
    b: Numbers | None,
    phi: Words,
    nx: int,
    radius: _Place,
    low: float,
    high: float,
    bins: int,
    op: str,
    constant: float,
    threads: int,
    out: Words,
) -> None: ...
def otsu_threshold(field: Numbers, words: Words, low: float, high: float, bins: int) -> float: ...
