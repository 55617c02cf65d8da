/* Getting ready to measure, and the report. */
#define _GNU_SOURCE
#include "measure.h"
#include "bench.h"
#include "content.h"
#include "fail.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return mixed(*state);
}

/* ---- getting ready ---- */

static void choose_targets(struct bench *b)
{
    uint64_t random = b->options->seed, wanted = (b->options->iterations + b->options->warmup) * b->options->batch;
    b->target_count = wanted < b->options->targets ? wanted : b->options->targets;
    b->targets = calloc(b->target_count, sizeof *b->targets);
    if (!b->targets)
        fail("no memory for %" PRIu64 " keys", b->target_count);
    for (uint64_t i = 0; i < b->target_count; i++) {
        struct target *t = &b->targets[i];
        object_key(t->key, (next_random(&random) & UINT32_MAX) * b->options->objects >> 32);
        t->hash = hash_key(t->key, OBJECT_KEY);
    }
}

static uint64_t slots_of(const struct bench *b)
{
    return b->options->batch > 1 ? b->options->batch : b->options->outstanding;
}

static void prepare_gets(struct bench *b)
{
    b->buffer_lines = entry_lines(OBJECT_KEY, b->options->size);
    uint64_t count = slots_of(b), bytes = count * b->buffer_lines * LINE;
    char *buffers = aligned_alloc(4096, (bytes + 4095) & ~(uint64_t)4095);
    if (!buffers)
        fail("no memory for the buffers");
    memset(buffers, 0, bytes);
    for (uint64_t i = 0; i < count; i++) { /* next to each other: a batch scatters into one buffer */
        b->gets[i] = (struct get){
            .client = &b->client,
            .key_length = OBJECT_KEY,
            .buffer = buffers + i * b->buffer_lines * LINE,
            .buffer_lines = b->buffer_lines,
            .unvalidated = b->options->unvalidated,
        };
    }
}

/* Learn where the objects are, so that `cached` and the raw reads know. */
static void locate_targets(struct bench *b)
{
    struct get *g = &b->gets[0];
    for (uint64_t i = 0; i < b->target_count; i++) {
        struct target *t = &b->targets[i];
        g->key = t->key;
        g->known = &t->known;
        g->design = LOOKUP;
        enum outcome found = finish_get(g);
        if (found != GOT)
            fail("%s: %s", t->key, outcome_text(&b->client, found));
    }
}

static void prepare_series(struct bench *b)
{
    bool samples = *b->options->samples;
    for (int i = 0; i < (b->options->path == PATH_BOUND ? SERIES : 1); i++)
        b->series[i] = new_series(samples ? b->options->iterations : 0);
}

void measure(const struct options *options)
{
    static struct bench bench;
    struct bench *b = &bench;
    struct instant start = start_clock();
    b->options = options;
    open_client(&b->client, options);
    b->client.many = options->batch > 1;
    b->client.gathered = malloc(MAX_ASKED);
    if (!b->client.gathered)
        fail("no memory for a message");
    choose_targets(b);
    prepare_gets(b);
    prepare_series(b);
    locate_targets(b);
    if (options->path == PATH_MESSAGE || options->path == PATH_TOGETHER)
        describe_message(&b->client);
    else if (options->path != PATH_NULL &&
             (!b->client.mapped || options->path == PATH_GET || options->path == PATH_BOUND))
        describe_read(&b->client, options->size);
    uint64_t limit = (uint64_t)(options->max_seconds * 1e9 / ns_per_tick(start));
    if (options->write)
        ask_for_writes(&b->client, (struct writing){options->objects, options->size, options->resize});
    if (options->warmup)
        loop(b, options->warmup, limit);
    struct session before = {.mark = mark(&b->client)}, after;
    read_counters(&before.counters, options->counters);
    printf("{\"event\":\"measuring\"}\n");
    if (fflush(stdout))
        fail("standard output: %s", strerror(errno));
    loop(b, options->iterations, limit);
    read_counters(&after.counters, options->counters);
    after.mark = mark(&b->client);
    if (options->write)
        ask_for_writes(&b->client, (struct writing){0});
    report(options, &b->client, b->series, &b->tally, &before, &after, ns_per_tick(start));
    close_client(&b->client);
}
