"""Simulated measurements that several tests of the statistics draw from."""

import numpy as np


def autoregressive(correlation):
    """Return `draw(rng, shape)`: rows of blocks of which each resembles the one before."""

    def draw(rng, shape):
        noise = rng.normal(size=shape)
        values = noise.copy()
        for i in range(1, shape[1]):
            values[:, i] = (
                correlation * values[:, i - 1] + np.sqrt(1 - correlation**2) * noise[:, i]
            )
        return np.exp(0.3 * values)

    return draw
