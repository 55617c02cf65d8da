"""Claims on caching. `benchpaper claims --history` says when each was written."""

from math import log

from benchpaper import claim

HALF = dict(trace="uniform", share=0.5)
LRU_AT_HALF = 0.5 + 0.5 * log(0.5)
FIFO_AT_HALF = -log(0.5) - 0.5
RANDOM_AT_HALF = 0.28311  # 1 - c ln(c + (1 - c) exp(1/c))


@claim("C21", experiment="caching/policies", kind="check")
def min_has_c_hits_in_every_epoch(results):
    """Belady's MIN hits exactly as many items as the cache holds in every epoch after the first,
    half of them at c = 0.5."""
    return results.estimate("hits_belady", **HALF).equal(margin=1e-6, target=0.5)


@claim("C22", experiment="caching/policies", kind="check")
def lru_is_its_closed_form(results):
    """Under independent shuffles LRU's hit ratio at c = 0.5 is c + (1 - c) ln(1 - c) to within 2
    %."""
    return results.estimate("hits_lru", **HALF).equal(margin=0.02, target=LRU_AT_HALF)


@claim("C23", experiment="caching/policies", kind="check")
def fifo_is_its_closed_form(results):
    """Under independent shuffles FIFO's hit ratio at c = 0.5 is -ln(1 - c) - c to within 2 %."""
    return results.estimate("hits_fifo", **HALF).equal(margin=0.02, target=FIFO_AT_HALF)


@claim(
    "C24",
    experiment="caching/policies",
    matters_to="papers that take this simulator's Random as their baseline",
)
def the_simulators_random_is_not_uniform(results):
    """The simulator's Random hits more at c = 0.5 than uniform eviction does."""
    return results.estimate("hits_random", **HALF).above(1.02 * RANDOM_AT_HALF)


@claim(
    "C25", experiment="caching/policies", matters_to="whoever chooses a cache policy for training"
)
def on_shuffles_w_tinylfu_beats_arc(results):
    """On independently shuffled epochs ARC hits less than half of what W-TinyLFU hits, at c =
    0.5."""
    return results.estimate("arc_over_w_tinylfu", **HALF).below(0.5)


@claim(
    "C26",
    experiment="caching/policies",
    matters_to="whoever chooses one cache for training and inference",
)
def on_kv_blocks_arc_beats_w_tinylfu(results):
    """On the reuse of KV-cache blocks the order is the other way round: ARC hits more than
    W-TinyLFU, at c = 0.1."""
    return results.estimate("arc_over_w_tinylfu", trace="kv", share=0.1).above(1.0)


@claim("C27", experiment="caching/tier0", kind="check")
def the_reference_tier_attains_the_optimum(results):
    """The reference tier hits a share c of all reads after the first epoch by the origin's log, at
    c = 0.5."""
    return results.estimate("hit_ratio", cache="tier0", share=0.5).equal(margin=0.01, target=0.5)


@claim("C28", experiment="caching/prefetch", kind="check")
def a_deep_prefetch_cannot_make_bandwidth(results):
    """In front of an origin that supplies less than half of the demand, fetching 64 samples ahead
    gives no more than 1.1 times the utilisation of fetching 16."""
    deep, shallow = dict(depth=64), dict(depth=16)
    return results.ratio(
        "utilisation", of=deep, to=shallow, delay_ms=2, mbit=100, compute_ms=10, share=0.0
    ).below(1.1)


@claim("C29", experiment="caching/prefetch", kind="check")
def a_prefetch_that_takes_the_cache_hurts(results):
    """When what is fetched ahead takes the whole cache, utilisation falls below 0.9 times what a
    quarter of that depth gives."""
    deep, shallow = dict(depth=64), dict(depth=16)
    return results.ratio(
        "utilisation", of=deep, to=shallow, delay_ms=2, mbit=100, compute_ms=20, share=0.5
    ).below(0.9)


SHARED = dict(jobs=4, lag=1 / 8)


@claim(
    "C81",
    experiment="caching/shared_jobs",
    matters_to="whoever chooses a cache policy for several jobs",
    after_trial_runs=True,
)
def with_jobs_close_together_fifo_beats_never_replacing(results):
    """Four jobs that share a data set, each an eighth of an epoch behind the one before it, hit at
    least 1.3 times as often with FIFO as with a cache that never replaces, at c = 0.5."""
    return results.estimate("fifo_over_never", share=0.5, **SHARED).above(1.3)


@claim(
    "C82",
    experiment="caching/shared_jobs",
    matters_to="whoever chooses a cache policy for several jobs",
    after_trial_runs=True,
)
def with_jobs_far_apart_fifo_loses(results):
    """When the cache holds half as much, the order is the other way round: the same jobs hit less
    than half as often with FIFO as with a cache that never replaces, at c = 0.25."""
    return results.estimate("fifo_over_never", share=0.25, **SHARED).below(0.5)


@claim(
    "C83",
    experiment="caching/shared_jobs",
    matters_to="designers of caches that several jobs share",
    after_trial_runs=True,
)
def keeping_and_passing_comes_close_to_min(results):
    """A cache that keeps some items for good and passes the others from the first job to the last
    hits at least 0.9 times as often as MIN, for four jobs a sixteenth of an epoch apart, at c =
    0.25."""
    return results.estimate("kept_over_min", jobs=4, lag=1 / 16, share=0.25).above(0.9)


@claim(
    "C84",
    experiment="caching/strategies",
    matters_to="whoever sets how far ahead a loader fetches",
    after_trial_runs=True,
)
def a_heavy_tail_starves_a_window_made_for_the_mean(results):
    """Where 64 samples ahead hide a constant latency, they leave the loop less than 0.7 of the time
    when the latency has the same mean and a heavy tail, in simulation."""
    return results.estimate("utilisation", regime="jitter", strategy="fixed_64", load=1.0).below(
        0.7
    )


@claim(
    "C85",
    experiment="caching/strategies",
    matters_to="whoever sets how far ahead a loader fetches",
    after_trial_runs=True,
)
def a_rule_of_three_numbers_finds_the_window(results):
    """Demand, supply, and jitter are enough to choose a window that loses less than a twentieth in
    front of that heavy tail, in simulation."""
    return results.estimate("utilisation", regime="jitter", strategy="by_rule", load=1.0).above(
        0.95
    )


@claim(
    "C86",
    experiment="caching/strategies",
    matters_to="users of tf.data's prefetch buffer",
    after_trial_runs=True,
)
def tf_datas_rule_stops_too_early(results):
    """The rule by which tf.data sizes its prefetch buffer gives less than half of that utilisation,
    in simulation."""
    rule, chosen = dict(strategy="autotune"), dict(strategy="by_rule")
    return results.ratio("utilisation", of=rule, to=chosen, regime="jitter", load=1.0).below(0.5)


@claim(
    "C87",
    experiment="caching/strategies",
    matters_to="designers of prefetchers that adapt",
    after_trial_runs=True,
)
def following_the_slowest_fetch_empties_the_cache(results):
    """A window that follows the slowest fetch takes the room of what a small cache keeps where
    bandwidth is short: utilisation falls below 0.85 times what the rule of three numbers gives, in
    simulation."""
    follower, chosen = dict(strategy="to_jitter"), dict(strategy="by_rule")
    return results.ratio("utilisation", of=follower, to=chosen, regime="cache", load=1.0).below(
        0.85
    )


@claim(
    "C88",
    experiment="caching/strategies",
    matters_to="whoever saves checkpoints over the link that training reads from",
    after_trial_runs=True,
)
def a_deep_window_delays_checkpoints(results):
    """Where training and checkpoints share a link that is short, 512 samples ahead lengthen the
    writing of a checkpoint by at least a fifth over two batches ahead, in simulation."""
    deep, shallow = dict(strategy="fixed_512"), dict(strategy="double_buffer")
    return results.ratio("checkpoint_s", of=deep, to=shallow, regime="checkpoint", load=1.0).above(
        1.2
    )


@claim("C89", experiment="caching/strategies", kind="check", after_trial_runs=True)
def the_model_holds_in_the_regime_that_is_hardest_for_it(results):
    """The model is at most 10 percentage points of utilisation off in front of the heavy tail, at
    twice the load and 64 samples ahead."""
    return results.estimate("off_points", regime="jitter", strategy="fixed_64", load=2.0).below(
        10.0
    )


@claim(
    "C90",
    experiment="caching/loader_traces",
    matters_to="designers of caches for training on blended corpora",
    after_trial_runs=True,
)
def the_order_is_worth_something_on_blended_corpora(results):
    """On Megatron's blend of corpora, knowing the order is worth at least 10 percentage points of
    hit ratio over the best policy that does not know it, in a cache for a tenth of the blocks."""
    return results.estimate("knowledge_points", loader="megatron", block_kib=4, share=0.1).above(
        10.0
    )


@claim(
    "C91",
    experiment="caching/loader_traces",
    matters_to="whoever trains on shuffled shards",
    after_trial_runs=True,
)
def the_order_is_worth_nothing_on_whole_shards(results):
    """On WebDataset's shuffled shards, which each epoch reads whole, knowing the order is worth
    less than one percentage point, in the same cache."""
    return results.estimate("knowledge_points", loader="webdataset", block_kib=4, share=0.1).below(
        1.0
    )


@claim(
    "C120",
    experiment="caching/kv_curves",
    matters_to="whoever simulates caches for inference without a trace",
    after_trial_runs=True,
)
def generated_requests_keep_the_order_of_policies(results):
    """On requests that a generator makes of eleven fitted numbers, ARC hits more than W-TinyLFU, as
    on the trace, at c = 0.1."""
    return results.estimate("arc_over_w_tinylfu", source="fitted", share=0.1).above(1.0)


@claim(
    "C121",
    experiment="caching/kv_curves",
    matters_to="whoever simulates caches for inference without a trace",
    after_trial_runs=True,
)
def the_generator_stands_in_for_the_trace(results):
    """LRU hits as often on the generated requests as on the trace, to within a tenth of that, at
    c = 0.1."""
    made, real = dict(source="fitted"), dict(source="trace")
    return results.ratio("hits_lru", of=made, to=real, share=0.1).equal(margin=0.1, target=1.0)
