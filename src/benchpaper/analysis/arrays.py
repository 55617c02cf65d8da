"""Checks of the arrays that statistics take: a message names the value, the rule, and a remedy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def checked(values: ArrayLike, name: str, *, positive: bool = False, least: int = 1) -> FloatArray:
    """Return `values` as a 1-D float array of at least `least` finite (or `positive`) numbers.

    Raises `ValueError`, which calls the array by its `name`, for anything else.
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.size < least:
        raise ValueError(
            f"{name} has shape {array.shape}; pass a 1-D array of at least {least} values"
        )
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} holds {array.dtype}, which is not numeric; convert it to numbers")
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        raise ValueError(
            f"{name}[{wrong[0]}] is {array[wrong[0]]}, not a finite number; "
            "leave failed trials out, and say so"
        )
    wrong = np.flatnonzero(array <= 0)
    if positive and wrong.size:
        raise ValueError(
            f"{name}[{wrong[0]}] is {array[wrong[0]]}, and only positive values have logs; "
            "use wilson() for rates and median_interval() for differences"
        )
    return array.astype(float)


def check_same_length(a: FloatArray, b: NDArray[np.generic], names: str) -> None:
    """Raise `ValueError` unless both arrays have the same shape."""
    if a.shape != b.shape:
        raise ValueError(
            f"{names} have shapes {a.shape} and {b.shape}; pass them pairwise, in the same order"
        )


def check_share(share: float, name: str) -> None:
    """Raise `ValueError` unless `share` lies between 0 and 1."""
    if not 0 <= share <= 1:
        raise ValueError(f"{name} is {share}, not between 0 and 1; pass 0.99 for 99 %")
