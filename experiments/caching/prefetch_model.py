"""A model of a training loop that fetches ahead, with one fitted parameter.

The loop takes `demand` samples a second if it never waits. A sample that is fetched is asked for
when the loop takes the sample that is a window of w before it, so at a pace of p samples a second
it has (w - 1)/p seconds to come. Its fetch takes X: the origin's latency, log-normal, and the
transfer. If it comes late, the loop waits for the rest, so with a share m of samples fetched its
rate r is

    1/r = 1/demand + m E[(X - (w - 1)/p)+],

and the link allows r <= B / (m S). If all fetches take the same time, the pace is r; if few are
slow, the loop goes on at full demand between two of them. We set p = r^t demand^(1 - t) with
t = 1 / (1 + SPREAD sigma). SPREAD is fitted to simulations without a cache. The model does not see
that a batch is taken whole.
"""

from math import inf, log
from statistics import NormalDist

SPREAD = 0.65
_CDF = NormalDist().cdf


def excess(mean, sigma, beyond):
    """Return E[(X - beyond)+] of a log-normal X with this mean; `sigma` 0 is a constant."""
    if beyond <= 0:
        return mean - beyond
    if sigma == 0:
        return max(0.0, mean - beyond)
    upper = (log(mean / beyond) + sigma**2 / 2) / sigma
    return mean * _CDF(upper) - beyond * _CDF(upper - sigma)


def rate(demand, missing, latency, sigma, transfer, window):
    """Return samples per second with a fixed window, by the model.

    `missing` is the share of samples that are fetched; `latency` and `transfer` are seconds.
    """
    supply = 1 / (missing * transfer) if missing and transfer else inf
    low, high = 0.0, min(demand, supply)

    even = 1 / (1 + SPREAD * sigma)

    def slower_than(guess):
        pace = guess**even * demand ** (1 - even)
        late = excess(latency, sigma, (window - 1) / pace - transfer)
        return 1 / guess < 1 / demand + missing * late

    if not slower_than(high):
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slower_than(middle) else (middle, high)
    return low


def utilisation(setting, window, missing):
    """Return the share of time that a loop of this `prefetch_simulation.Setting` computes."""
    demand = setting.batch / setting.compute_s
    transfer = setting.sample_bytes / setting.link_bytes_s
    return rate(demand, missing, setting.latency_s, setting.sigma, transfer, window) / demand
