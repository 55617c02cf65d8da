"""Claims on high-throughput streams.

`benchpaper claims --history` says when each was written.
"""

from math import log

from benchpaper import claim

FUSED = dict(stages=1, boundaries=0, work=1, batch=1, engine="pekko")
DRAINED = dict(course="drain", format="binary", broker="kafka")
TWO = dict(stages=2, batch=1, engine="pekko", settings="tuned")


@claim(
    "C51",
    experiment="streaming/boundaries",
    matters_to="whoever plans a machine for events by the million",
)
def a_fused_stream_carries_fifteen_million_events(results):
    """A fused pipeline of one stage carries more than 15 million single events a second."""
    return results.estimate("events_per_s", settings="default", **FUSED).above(15)


@claim("C52", experiment="streaming/boundaries", kind="check", after_trial_runs=True)
def the_harness_costs_no_more_than_a_twentieth(results):
    """Run by our harness, the fused pipeline reaches at least 0.95 of the rate of the same pipeline
    in a bare program."""
    return results.ratio(
        "events_per_s", of=dict(settings="default"), to=dict(settings="bare"), **FUSED
    ).above(0.95)


@claim(
    "C53",
    experiment="streaming/boundaries",
    matters_to="authors of reactive streams with light stages",
)
def a_boundary_between_light_stages_halves_the_rate(results):
    """Between two stages that do next to nothing, an asynchronous boundary costs more than half of
    the rate, with tuned settings too."""
    return results.ratio(
        "events_per_s", of=dict(boundaries=1), to=dict(boundaries=0), work=1, **TWO
    ).below(0.5)


@claim(
    "C54",
    experiment="streaming/boundaries",
    matters_to="authors of reactive streams with heavy stages",
)
def a_boundary_between_heavy_stages_pays(results):
    """Between two stages of 10,000 steps each, a boundary raises the rate by more than a third."""
    return results.ratio(
        "events_per_s", of=dict(boundaries=1), to=dict(boundaries=0), work=10000, **TWO
    ).above(4 / 3)


@claim("C55", experiment="streaming/backpressure", kind="check")
def buffers_hold_what_their_sizes_say(results):
    """In every bounded strategy, the elements on their way are exactly the sum of the buffers'
    sizes and the one in the sink's hand."""
    bounded = ["none", "backpressure", "drop_head", "drop_tail", "drop_new", "fail"]
    cells = results.cells(strategy=bounded)["cell"]
    return results.combined(
        "over_predicted", cells, lambda found: max(found.values(), key=lambda r: abs(log(r)))
    ).equal(0.0001)


@claim("C56", experiment="streaming/knee", matters_to="operators near saturation")
def past_saturation_latency_explodes(results):
    """At 1.1 of the capacity, the median latency from the intended time is more than ten times that
    at 0.8."""
    common = dict(procedure="open", arrival="poisson")
    return results.ratio("latency_us", of=dict(load=1.1), to=dict(load=0.8), **common).above(10)


@claim(
    "C57",
    experiment="streaming/knee",
    matters_to="whoever benchmarks streams with a client that waits",
)
def waiting_for_room_hides_the_queue(results):
    """At 1.1 of the capacity, the median latency from the intended time is more than twice that
    from when an event was offered."""
    return results.estimate("hidden", procedure="open", arrival="poisson", load=1.1).above(2)


@claim(
    "C58",
    experiment="streaming/engines",
    matters_to="whoever puts an engine around little work",
)
def an_engine_costs_more_than_its_work(results):
    """On the same aggregation and the same runtime, the fused stream handles less than a fifth of
    the single events a second that a plain loop handles."""
    return results.ratio("events_per_s", of=dict(engine="pekko"), to=dict(engine="loop")).below(0.2)


@claim(
    "C59",
    experiment="streaming/billion",
    matters_to="whoever runs a stream for days",
    after_trial_runs=True,
)
def memory_does_not_grow(results):
    """Over a run of 20 million events, the runtime's resident memory grows by less than a fifth
    after its first tenth."""
    return results.estimate("resident_growth", events=20_000_000, course="whole").below(1.2)


@claim("C62", experiment="streaming/knee", kind="check")
def no_rate_beyond_the_capacity_is_sustainable(results):
    """The search finds no rate beyond what one service in 20 µs allows (a control, with one
    hundredth of tolerance)."""
    return results.estimate("sustainable_k_s", procedure="search", arrival="poisson").below(50.5)


@claim(
    "C63",
    experiment="streaming/engines",
    matters_to="whoever chooses a library of streams for its rate",
    after_trial_runs=True,
)
def a_push_based_engine_outruns_a_fused_stream(results):
    """On the same aggregation, RxJava handles more single events a second than the fused stream."""
    return results.ratio("events_per_s", of=dict(engine="rxjava"), to=dict(engine="pekko")).above(1)


@claim(
    "C64",
    experiment="streaming/pipeline",
    matters_to="whoever chooses an engine for a pipeline from a topic",
    after_trial_runs=True,
)
def the_broker_levels_the_engines(results):
    """From a topic to Parquet, the stream handles more than half of the events a second that a
    plain loop handles."""
    return results.ratio(
        "events_k_s",
        of=dict(engine="pekko"),
        to=dict(engine="loop"),
        **DRAINED,
    ).above(0.5)


@claim(
    "C110",
    experiment="streaming/pipeline",
    matters_to="whoever chooses a library of streams for a pipeline from a topic",
)
def reactor_keeps_up_with_rxjava(results):
    """From a topic to Parquet, Reactor handles more than 0.8 of the events a second that RxJava
    handles."""
    return results.ratio(
        "events_k_s", of=dict(engine="reactor"), to=dict(engine="rxjava"), **DRAINED
    ).above(0.8)


@claim(
    "C111",
    experiment="streaming/pipeline",
    matters_to="whoever looks for what limits a pipeline from a topic",
)
def reading_alone_is_twice_as_fast(results):
    """From a topic to Parquet, the stream handles less than half of the events a second that
    reading and parsing alone reach."""
    return results.ratio(
        "events_k_s", of=dict(engine="pekko"), to=dict(engine="consume"), **DRAINED
    ).below(0.5)


@claim(
    "C112",
    experiment="streaming/patterns",
    matters_to="whoever groups a stream by keys that never come back",
)
def group_by_remembers_every_key(results):
    """Once 50,000 substreams have ended, groupBy holds more than 2 MiB of heap by default."""
    return results.estimate("held_mib", pattern="groupBy").above(2)


@claim(
    "C113",
    experiment="streaming/patterns",
    matters_to="whoever groups a stream by keys that never come back",
)
def group_by_may_forget(results):
    """With closed substreams that may come back, groupBy then holds less than 1 MiB."""
    return results.estimate("held_mib", pattern="groupBy again").below(1)


@claim(
    "C114",
    experiment="streaming/patterns",
    matters_to="whoever calls a service from a stream and needs the order",
)
def unordered_calls_reorder(results):
    """With eight calls at a time, of which each seventh takes 20 µs longer, mapAsyncUnordered hands
    on more than one element in a hundred after a later one."""
    return results.estimate("disorder_share", pattern="mapAsyncUnordered").above(1)


@claim(
    "C115",
    experiment="streaming/patterns",
    matters_to="whoever shows the newest value of a fast stream",
)
def conflating_is_fresher_than_buffering(results):
    """In front of a slower sink, an element that conflate lets pass is at most half as old at the
    median as one that waits in a buffer of 64."""
    return results.ratio(
        "latency_us", of=dict(pattern="conflate"), to=dict(pattern="buffer")
    ).below(0.5)


@claim(
    "C116",
    experiment="streaming/patterns",
    matters_to="authors of streams with a bound on latency",
)
def a_boundary_costs_latency(results):
    """A boundary in front of a slower sink makes the median latency more than five times that of
    the fused stream."""
    return results.ratio("latency_us", of=dict(pattern="async"), to=dict(pattern="fused")).above(5)


@claim(
    "C117",
    experiment="streaming/patterns",
    kind="check",
    after_trial_runs=True,
)
def a_restart_loses_what_failed(results):
    """A flow that fails four times and is restarted loses less than one element in a thousand."""
    return results.estimate("lost_share", pattern="restart").below(0.1)


@claim(
    "C65",
    experiment="streaming/delivery",
    matters_to="whoever has to count each event once",
    after_trial_runs=True,
)
def exactly_once_survives_a_kill(results):
    """A loop that commits after its write, under the name of the window, neither loses nor doubles
    an event when it is killed."""
    cell = dict(engine="loop", delivery="exactly", fault="consumer killed")
    return results.estimate("off", **cell).below(1)


@claim(
    "C145",
    experiment="streaming/scale_out",
    matters_to="whoever adds workers to a job that waits for others",
)
def a_waiting_stage_scales_past_the_cores(results):
    """A job whose stage waits for a store carries more than 2.5 times the events a second in four
    workers that it carries in one, on whatever cores there are."""
    return results.ratio(
        "events_per_s",
        of=dict(workers=4),
        to=dict(workers=1),
        engine="flink",
        stage="waiting",
        course="whole",
    ).above(2.5)


@claim(
    "C146",
    experiment="streaming/scale_out",
    matters_to="whoever adds workers to a job that computes",
)
def a_computing_stage_stops_at_the_cores(results):
    """On two cores, a job whose stage computes gains less than a quarter from two more workers
    once it has two."""
    return results.ratio(
        "events_per_s",
        of=dict(workers=4),
        to=dict(workers=2),
        engine="flink",
        stage="processor",
        course="whole",
    ).below(1.25)


@claim(
    "C147",
    experiment="streaming/scale_out",
    matters_to="whoever loses a machine in the middle of a job",
)
def a_job_resubmitted_counts_each_event_once(results):
    """A job whose worker is killed, and which is submitted again from its last checkpoint, neither
    loses nor doubles an event."""
    lost = dict(engine="flink", stage="waiting", workers=4, course="resubmitted")
    return results.estimate("off", **lost).below(1)


@claim(
    "C148",
    experiment="streaming/delivery",
    matters_to="whoever restarts a job from a checkpoint",
    after_trial_runs=True,
)
def flink_restored_counts_each_event_once(results):
    """A killed job of Flink that starts again from its last checkpoint neither loses nor doubles an
    event."""
    cell = dict(engine="flink", delivery="exactly", fault="consumer killed")
    return results.estimate("off", **cell).below(1)
