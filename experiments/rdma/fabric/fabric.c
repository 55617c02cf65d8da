/* fabric: what does one operation cost on a transport, before any storage code runs?
 *
 *   fabric serve   --listen ADDR --cpu N
 *   fabric measure --connect ADDR:PORT --operation put|get|message --size BYTES --outstanding K
 *                  --iterations N --warmup N --max-seconds S --cpu N --samples FILE
 *   fabric null    --outstanding K --iterations N --warmup N --max-seconds S --cpu N --samples FILE
 *
 * `serve` prints {"event":"ready","port":N}, serves one client, and ends. `measure` times every operation itself,
 * writes the samples (float64, nanoseconds, in order) to FILE and prints one JSON object. `null` is the same loop
 * with the same clock around nothing at all: its samples are the floor below which `measure` cannot see.
 *
 * The transport is UCX's choice, guided by UCX_TLS and its kin in the environment; what UCX really chose is in the
 * JSON (`lanes`; `protocol`: UCX's words on one operation of the measured kind and size). The two sides also talk over
 * a TCP connection next to the transport under test. What arrives there is checked, but the peer is not authenticated:
 * use it on networks where you would run ucx_perftest.
 *
 * One operation outstanding:
 *   put      both sides write into each other's memory in turn; a sample is half of the round trip
 *   message  the same with active messages
 *   get      one read; a sample is the full round trip, and ends when the data is here
 * A sample runs from the end of the one before to its own end, so nothing between two samples goes unseen.
 * More than one outstanding: a sample runs from posting an operation to its local completion; `elapsed_s` runs from
 * the first post until the far side has it all (put: flush; message: the far side's count; get: the data is here).
 */
#define _GNU_SOURCE
#include "clock.h"
#include "result.h"
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* ---- the two loops of the client ---- */

static inline void ping(struct transport *t, uint64_t sequence)
{
    ucs_status_ptr_t request = post_numbered(t, sequence);
    for (uint64_t turns = 0; !arrived(t, sequence);)
        turn(t, &turns);
    finish(t, request, "sending");
}

/* The last word is cleared first, so that each read shows that it brought the data. */
static inline void fetch(struct transport *t)
{
    static const ucp_request_param_t plain = {0};
    uint64_t *word = last_word(t, t->receive);
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    finish(t, post(t, &plain), "reading");
    t->verified += __atomic_load_n(word, __ATOMIC_ACQUIRE) == PROBE_SEQUENCE;
}

static void one_at_a_time(struct transport *t, struct timing *m, uint64_t count)
{
    uint64_t before = m->began = ticks();
    for (m->done = 0; m->done < count && before - m->began < m->limit; m->done++) {
        if (t->plan.operation == GET)
            fetch(t);
        else if (t->plan.operation != NOTHING)
            ping(t, m->done + 1);
        uint64_t now = ticks();
        m->samples[m->done] = now - before;
        before = now;
    }
    m->ended = before;
}

static struct {
    uint64_t count;
    const char *operation;
} in_flight;

static void on_completion(void *request, ucs_status_t status, void *sample)
{
    *(uint64_t *)sample = ticks() - *(uint64_t *)sample;
    check(status, in_flight.operation);
    in_flight.count--;
    ucp_request_free(request);
}

/* Wait until the other side has everything, and not only until this side may forget it. */
static void settle(struct transport *t, uint64_t done)
{
    if (t->plan.operation == PUT)
        flush(t);
    if (t->plan.operation == MESSAGE) {
        send_count(t, done);
        for (uint64_t turns = 0; t->announced != done;)
            turn(t, &turns);
    }
}

static void many_at_a_time(struct transport *t, struct timing *m, uint64_t count)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_MULTI_SEND,
        .cb.send = on_completion,
    };
    in_flight.operation = operation_names[t->plan.operation];
    uint64_t now = m->began = ticks();
    for (m->done = 0; m->done < count && now - m->began < m->limit; m->done++) {
        for (uint64_t turns = 0; in_flight.count >= t->plan.outstanding;)
            turn(t, &turns);
        uint64_t *sample = &m->samples[m->done];
        param.user_data = sample;
        *sample = now = ticks();
        ucs_status_ptr_t request = post(t, &param);
        if (UCS_PTR_IS_PTR(request)) {
            in_flight.count++;
        } else {
            check(UCS_PTR_STATUS(request), in_flight.operation);
            *sample = ticks() - *sample;
        }
    }
    for (uint64_t turns = 0; in_flight.count > 0;)
        turn(t, &turns);
    settle(t, m->done);
    m->ended = ticks();
}

/* Record `count` operations, or as many as the limit of time allows; return the CPU time they took. */
static double loop(struct transport *t, struct timing *m, uint64_t count)
{
    double cpu = cpu_seconds();
    if (t->plan.outstanding == 1)
        one_at_a_time(t, m, count);
    else
        many_at_a_time(t, m, count);
    return cpu_seconds() - cpu;
}

/* ---- phases of the client: a probe, the warm-up, the timed part ---- */

static void begin_phase(struct transport *t)
{
    t->received = t->verified = 0;
    t->announced = UINT64_MAX;
    t->check_contents = false;
    if (t->plan.operation == PUT)
        *last_word(t, t->receive) = 0;
}

static void request_frame(struct transport *t, enum frame ask, const void *payload, size_t length, enum frame answer,
                          void *into, size_t into_length)
{
    send_frame(&t->channel, ask, payload, length);
    await_frame(t);
    receive_frame(&t->channel, answer, into, into_length);
}

/* Do one operation that UCX must report on, keep UCX's words, and let the peer check the contents. */
static void probe(struct transport *t, struct evidence *evidence)
{
    const char *name = operation_names[t->plan.operation];
    ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FLAG_NO_IMM_CMPL};
    ucp_request_attr_t attributes = {
        .field_mask = UCP_REQUEST_ATTR_FIELD_INFO_STRING | UCP_REQUEST_ATTR_FIELD_INFO_STRING_SIZE,
        .debug_string = evidence->protocol,
        .debug_string_size = sizeof evidence->protocol,
    };
    if (t->plan.outstanding > 1)
        param.op_attr_mask |= UCP_OP_ATTR_FLAG_MULTI_SEND;
    *last_word(t, t->send) = PROBE_SEQUENCE;
    ucs_status_ptr_t request = post(t, &param);
    if (!UCS_PTR_IS_PTR(request))
        fail("UCX does not tell how it does a %s: %s", name, ucs_status_string(UCS_PTR_STATUS(request)));
    check(ucp_request_query(request, &attributes), "asking how the operation was done");
    finish(t, request, name);
    flush(t);
    uint32_t right;
    request_frame(t, PROBED, NULL, 0, CHECKED, &right, sizeof right);
    if (t->plan.operation == GET)
        right = holds(t, t->receive, PROBE_SEQUENCE);
    if (right != 1)
        fail("the data of the first %s did not arrive as it was sent", name);
}

static void run_phase(struct transport *t, struct timing *m, uint64_t count, struct evidence *evidence)
{
    begin_phase(t);
    request_frame(t, START, NULL, 0, STARTED, NULL, 0);
    double cpu = loop(t, m, count);
    if (t->plan.operation == PUT && !answered(&t->plan)) {
        finish(t, post_numbered(t, m->done), "the last put"); /* a mark for the server to check, not timed */
        flush(t);
    }
    request_frame(t, DONE, &m->done, sizeof m->done, REPORT, &evidence->server, sizeof evidence->server);
    if (t->plan.operation == GET && t->plan.outstanding > 1)
        t->verified = holds(t, t->receive, PROBE_SEQUENCE); /* of the reads into one buffer only the last shows */
    evidence->client = report(t, m->done, cpu);
}

/* ---- phases of the server ---- */

/* Answer each put or message with one, until the client says that it is done; return their number. */
static uint64_t echo(struct transport *t)
{
    for (uint64_t done = 0;; done++) {
        for (uint64_t turns = 0; !arrived(t, done + 1);) {
            if (t->frame_waiting)
                return done;
            turn(t, &turns);
        }
        finish(t, post_numbered(t, done + 1), "answering");
    }
}

/* Let UCX work until the client says that it is done; confirm the messages once all that it sent are here. */
static void attend(struct transport *t)
{
    t->wait_limit = t->plan.max_seconds + STALL_S;
    for (uint64_t turns = 0; !t->frame_waiting;) {
        turn(t, &turns);
        if (t->announced == t->received) {
            t->announced = UINT64_MAX;
            send_count(t, t->received);
        }
    }
    t->wait_limit = STALL_S;
}

static void serve_probe(struct transport *t)
{
    bool message = t->plan.operation == MESSAGE;
    for (uint64_t turns = 0; message && t->received == 0;)
        turn(t, &turns);
    uint32_t right = message ? t->verified == 1 : holds(t, t->receive, PROBE_SEQUENCE);
    send_frame(&t->channel, CHECKED, &right, sizeof right);
}

static void serve_phase(struct transport *t)
{
    uint64_t done = 0, claimed;
    begin_phase(t);
    double cpu = cpu_seconds();
    send_frame(&t->channel, STARTED, NULL, 0);
    if (answered(&t->plan))
        done = echo(t);
    else
        attend(t);
    struct report seen = report(t, done, cpu_seconds() - cpu);
    receive_frame(&t->channel, DONE, &claimed, sizeof claimed);
    if (answered(&t->plan) && claimed != seen.operations)
        fail("the client claims %" PRIu64 " operations, %" PRIu64 " were seen here", claimed, seen.operations);
    send_frame(&t->channel, REPORT, &seen, sizeof seen);
}

/* ---- the three commands ---- */

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        fail("cannot pin to CPU %d: %s", cpu, strerror(errno));
}

static void serve(const struct options *options)
{
    struct transport t = {.serving = true, .check_contents = true};
    enum frame asked;
    t.channel = accept_client(options->host);
    receive_frame(&t.channel, HELLO, &t.plan, sizeof t.plan);
    if (!plan_in_bounds(&t.plan))
        fail("the client asks for something out of bounds");
    open_transport(&t);
    while (await_frame(&t), (asked = receive_signal(&t.channel)) != BYE)
        if (asked == PROBED)
            serve_probe(&t);
        else if (asked == START)
            serve_phase(&t);
        else
            fail("the client sent a frame that makes no sense here");
    close_transport(&t);
}

static void prepare_timing(struct timing *m, const struct plan *plan, struct instant start)
{
    uint64_t most = plan->warmup > plan->iterations ? plan->warmup : plan->iterations;
    m->limit = (uint64_t)(plan->max_seconds * 1e9 / ns_per_tick(start));
    m->samples = malloc(most * sizeof *m->samples);
    if (!m->samples)
        fail("no memory for %" PRIu64 " samples", most);
    memset(m->samples, 0xff, most * sizeof *m->samples); /* so that no page is touched first while timing */
}

static void measure(const struct options *options)
{
    struct transport t = {.plan = options->plan};
    bool alone = t.plan.operation == NOTHING;
    struct evidence evidence = {0};
    struct timing m = {0};
    struct instant start = start_clock();
    prepare_timing(&m, &t.plan, start);
    if (alone) {
        loop(&t, &m, t.plan.warmup);
        evidence.client.cpu_s = loop(&t, &m, t.plan.iterations);
    } else {
        t.channel = connect_to(options->host, options->port);
        send_frame(&t.channel, HELLO, &t.plan, sizeof t.plan);
        open_transport(&t);
        probe(&t, &evidence);
        if (t.plan.warmup > 0)
            run_phase(&t, &m, t.plan.warmup, &evidence);
        run_phase(&t, &m, t.plan.iterations, &evidence);
    }
    double tick_ns = ns_per_tick(start);
    write_samples(&m, options->samples, answered(&t.plan) ? tick_ns / 2 : tick_ns);
    print_timing(&t.plan, &m, tick_ns, evidence.client.cpu_s);
    if (!alone) {
        print_evidence(&t, &evidence);
        send_frame(&t.channel, BYE, NULL, 0);
        close_transport(&t);
    }
    printf("}\n");
    free(m.samples);
}

int main(int argc, char **argv)
{
    struct options options = parse_options(argc, argv);
    pin(options.cpu);
    if (options.command == SERVE)
        serve(&options);
    else
        measure(&options);
    if (fflush(stdout))
        fail("cannot write the result: %s", strerror(errno));
    return 0;
}
