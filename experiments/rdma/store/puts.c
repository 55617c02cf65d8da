/* Puts, one after the other, each timed from its sending to its acknowledgement; then every object is read back. */
#define _GNU_SOURCE
#include "client.h"
#include "content.h"
#include "counters.h"
#include "fail.h"
#include "measure.h"
#include "report.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct putter {
    const struct options *options;
    struct client client;
    uint64_t *last; /* by object: the number of its last put; 0 for none */
    char *value;
    uint64_t random, done;
};

static uint64_t next_object(struct putter *p)
{
    p->random += 0x9e3779b97f4a7c15u;
    return (mixed(p->random) & UINT32_MAX) * p->options->objects >> 32;
}

static uint64_t timed_put(struct putter *p)
{
    char key[OBJECT_KEY + 1];
    enum status status = ABSENT;
    uint64_t object = next_object(p), number = ++p->done;
    object_key(key, object);
    fill_pattern(p->value, p->options->size, hash_key(key, OBJECT_KEY), number, NULL);
    uint64_t before = ticks();
    enum outcome outcome = send_put(&p->client, key, OBJECT_KEY, p->value, p->options->size, ASK_PUT, &status);
    uint64_t took = ticks() - before;
    if (outcome != GOT || status != STORED)
        fail("%s: %s", key, outcome == GOT ? status_names[status] : outcome_text(&p->client, outcome));
    p->last[object] = number;
    return took;
}

/* How many of the objects hold what was put there last. */
static uint64_t read_back(struct putter *p, uint64_t *written)
{
    struct place known = {0};
    uint64_t right = 0, lines = entry_lines(OBJECT_KEY, p->options->size);
    struct get get = {.client = &p->client,
                      .key_length = OBJECT_KEY,
                      .buffer = aligned_alloc(LINE, lines * LINE),
                      .buffer_lines = lines,
                      .known = &known,
                      .design = LOOKUP};
    char key[OBJECT_KEY + 1];
    *written = 0;
    for (uint64_t object = 0; get.buffer && object < p->options->objects; object++) {
        if (!p->last[object])
            continue;
        ++*written;
        object_key(key, object);
        get.key = key;
        known = (struct place){0};
        right += finish_get(&get) == GOT && get.value_length == p->options->size &&
                 pattern_holds(get.value, get.value_length, hash_key(key, OBJECT_KEY), p->last[object]);
    }
    free(get.buffer);
    return right;
}

void put_objects(const struct options *options)
{
    static struct putter putter;
    struct putter *p = &putter;
    struct instant start = start_clock();
    p->options = options;
    p->random = options->seed;
    p->last = calloc(options->objects, sizeof *p->last);
    p->value = malloc(options->size);
    if (!p->last || !p->value)
        fail("no memory for %" PRIu64 " objects", options->objects);
    open_client(&p->client, options);
    for (uint64_t i = 0; i < options->warmup; i++)
        timed_put(p);
    struct series samples = new_series(options->iterations);
    struct mark before = mark(&p->client);
    double began = seconds(), cpu = cpu_seconds();
    while (samples.kept < options->iterations && seconds() - began < options->max_seconds)
        keep(&samples, timed_put(p));
    double elapsed = seconds() - began;
    cpu = cpu_seconds() - cpu;
    struct mark after = mark(&p->client);
    uint64_t written, right = read_back(p, &written);
    write_samples(&samples, options->samples, "", ns_per_tick(start));
    printf("{\"puts\":%" PRIu64 ",\"elapsed_s\":%.9f,\"cpu_client_s\":%.6f,\"cpu_server_s\":%.6f,"
           "\"server_requests\":%" PRIu64 ",\"written\":%" PRIu64 ",\"right\":%" PRIu64 "}\n",
           samples.kept, elapsed, cpu, after.cpu_s - before.cpu_s, after.requests - before.requests, written, right);
    close_client(&p->client);
}
