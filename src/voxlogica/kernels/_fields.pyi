"""The compiled kernels on numeric fields; see fields.py, which checks what is given here and documents it."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Floats: TypeAlias = npt.NDArray[np.float32]
_Numbers: TypeAlias = npt.NDArray[np.float32 | np.uint8 | np.int8 | np.uint16 | np.int16]
_Words: TypeAlias = npt.NDArray[np.uint64]
_Place: TypeAlias = tuple[int, int, int]

def masked(field: _Numbers, words: _Words, threads: int, out: _Floats) -> None: ...
def luminance(components: _Floats, threads: int, out: _Floats) -> None: ...
def extremes(field: _Numbers, words: _Words | None) -> tuple[int, float, float, bool]: ...
def summary(field: _Numbers, words: _Words) -> tuple[tuple[int, float, float, bool], float]: ...
def sum(field: _Numbers, words: _Words) -> float: ...
def distance(
    mask: _Words, contour: _Words, spacing: tuple[float, float, float], threads: int, out: _Floats
) -> None: ...
def percentiles(field: _Numbers, words: _Words, weight: float, threads: int, out: _Floats) -> bool: ...
def rank_table(field: _Numbers, words: _Words, weight: float, out: _Floats) -> None: ...
def ranked(field: _Numbers, words: _Words, table: _Floats, out: _Floats) -> None: ...
def correlation(
    a: _Numbers,
    b: _Numbers,
    phi: _Words,
    radius: _Place,
    low: float,
    high: float,
    bins: int,
    threads: int,
    out: _Floats,
) -> None: ...
def window_box(
    field: _Numbers, radius: _Place, low: float, high: float, bins: int, threads: int
) -> tuple[_Place, _Place]: ...
def windows(
    field: _Numbers,
    radius: _Place,
    low: float,
    high: float,
    bins: int,
    at: _Place,
    threads: int,
    out: npt.NDArray[np.uint32],
) -> None: ...
def correlation_of(
    windows: npt.NDArray[np.uint32],
    at: _Place,
    b: _Numbers | None,
    phi: _Words,
    radius: _Place,
    low: float,
    high: float,
    bins: int,
    threads: int,
    out: _Floats,
) -> None: ...
def compare_correlation(
    windows: npt.NDArray[np.uint32],
    at: _Place,
    b: _Numbers | None,
    phi: _Words,
    nx: int,
    radius: _Place,
    low: float,
    high: float,
    bins: int,
    op: str,
    constant: float,
    threads: int,
    out: _Words,
) -> None: ...
def otsu_threshold(field: _Numbers, words: _Words, low: float, high: float, bins: int) -> float: ...
