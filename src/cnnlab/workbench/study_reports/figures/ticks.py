"""Where an axis of logarithms is marked: round numbers, as few as are legible."""

import math


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers between low and high, both > 0: 1, 2, 5 times powers of ten, or every few powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for mantissas in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**e for e in range(first, last + 1) for m in mantissas if low <= m * 10.0**e <= high]
        if len(ticks) <= most:
            return ticks if len(ticks) >= 2 else [low, high]
    step = math.ceil((last - first) / (most - 1))
    return [10.0**e for e in range(first, last + 1, step) if low <= 10.0**e <= high]
