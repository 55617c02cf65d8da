"""What training and inference ask of storage: the size of a GET, and the computation it feeds."""

from dataclasses import dataclass

from experiments.training_io.data import samples

# The rate of one H100 in BF16 by its data sheet, and the share of it that large models attain.
FLOP_PER_S, ATTAINED = 989e12, 0.4


@dataclass(frozen=True)
class Demand:
    """Each step computes for `batch` GETs of `get_bytes`, `compute_s` for each of them."""

    get_bytes: int
    batch: int
    compute_s: float


def _published(name: str) -> Demand:
    """Return the demand of an emulated H100, with parameters published for MLPerf Storage."""
    workload = samples.PUBLISHED[name]
    return Demand(workload.sample_bytes, workload.batch, workload.compute_s / workload.batch)


def _tokens(parameters: float, sequence: int, batch: int) -> Demand:
    """Return the demand of training a language model: 6 FLOP a parameter and token.

    A GET is a sequence at a random place of the data set, with two bytes a token.
    """
    return Demand(2 * sequence, batch, 6 * parameters * sequence / (ATTAINED * FLOP_PER_S))


def _attention_cache(parameters: float, layers: int, heads: int, width: int, block: int) -> Demand:
    """Return the demand of inference that fetches keys and values instead of computing them.

    Computing costs 2 FLOP a parameter and token. A GET is a block of tokens in one layer, in BF16;
    it has to arrive while the layer before it would be computed.
    """
    compute_s = 2 * parameters * block / (ATTAINED * FLOP_PER_S) / layers
    return Demand(2 * heads * width * 2 * block, 1, compute_s)


ALL = {
    **{name: _published(name) for name in ("resnet50", "unet3d", "cosmoflow")},
    "tokens": _tokens(parameters=1e9, sequence=2048, batch=8),
    "kv-cache": _attention_cache(parameters=8e9, layers=32, heads=8, width=128, block=16),
}
