"""What the pipelines must answer, by other means than theirs."""

A, C, MODULUS = 6364136223846793005, 1442695040888963407, 1 << 64


def steps(k):
    """Return (a, c): k steps of the generator x -> A x + C, taken at once (modulo 2^64)."""
    a, c, base_a, base_c = 1, 0, A, C
    while k:
        if k & 1:
            a, c = a * base_a % MODULUS, (c * base_a + base_c) % MODULUS
        base_a, base_c = base_a * base_a % MODULUS, (base_c * base_a + base_c) % MODULUS
        k >>= 1
    return a, c


def boundaries(events, total_steps):
    """Return (count, sum modulo 2^64) of the even results of `total_steps` steps from each number below `events`.

    Each step flips the lowest bit, for A and C are odd: the results are even for every second number.
    """
    a, c = steps(total_steps)
    first = total_steps % 2
    count = (events - first + 1) // 2
    sum_of_numbers = count * first + count * (count - 1)
    return count, (a * sum_of_numbers + c * count) % MODULUS
