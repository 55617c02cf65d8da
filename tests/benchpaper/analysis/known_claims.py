"""Claims on known results."""

A, TWIN = (
    [10.0, 10.2, 9.9, 10.1, 9.8, 10.05],
    [10.5, 10.1, 9.5, 10.0, 9.9, 9.7],
)  # a noise floor of 4 %
CLAIM = """
    @claim("C1", experiment="toy/known")
    def first(results):
        \"\"\"A sentence.\"\"\"
        return {condition}
"""
A_1 = 'results.estimate("latency_us", way="a", size=1)'
B_TO_A = 'results.ratio("latency_us", of=dict(way="b"), to=dict(way="a"), size=1)'


def times(values, factor):
    return [value * factor for value in values]


TWO = (
    CLAIM
    + """
    @claim("C2", experiment="toy/known")
    def second(results):
        \"\"\"Another sentence.\"\"\"
        return {other}
"""
)
