/* The measuring loop: GETs of random objects, each timed by itself and its value then compared, byte by byte, with what
 * key and version say it must be. The comparison is not part of a sample; it is part of the elapsed time. */
#define _GNU_SOURCE
#include "measure.h"
#include "client.h"
#include "content.h"
#include "digest.h"
#include "fail.h"
#include "report.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* One object that is read again and again. */
struct target {
    char key[OBJECT_KEY + 1];
    uint64_t hash, last_version;
    struct place known;
};

struct bench {
    const struct options *options;
    struct client client;
    struct target *targets;
    uint64_t target_count, buffer_lines;
    struct get gets[MAX_GETS];
    struct place raw[MAX_GETS]; /* where a raw read reads */
    uint64_t began[MAX_GETS];
    struct series series[SERIES];
    struct tally tally;
};

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return mixed(*state);
}

/* ---- getting ready ---- */

static void choose_targets(struct bench *b)
{
    uint64_t random = b->options->seed, wanted = b->options->iterations + b->options->warmup;
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

static void prepare_gets(struct bench *b)
{
    b->buffer_lines = entry_lines(OBJECT_KEY, b->options->size);
    for (uint64_t i = 0; i < b->options->outstanding; i++) {
        char *buffer = aligned_alloc(4096, (b->buffer_lines * LINE + 4095) & ~(uint64_t)4095);
        if (!buffer)
            fail("no memory for the buffers");
        memset(buffer, 0, b->buffer_lines * LINE);
        b->gets[i] = (struct get){
            .client = &b->client, .key_length = OBJECT_KEY, .buffer = buffer, .buffer_lines = b->buffer_lines,
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
            fail("%s: %s", t->key, outcome_texts[found]);
    }
}

static enum design design_of(enum path path)
{
    static const enum design designs[] = {
        [PATH_MEMCPY] = RAW_COPY, [PATH_GET] = RAW_GET, [PATH_CACHED] = CACHED, [PATH_LOOKUP] = LOOKUP,
        [PATH_MESSAGE] = MESSAGE, [PATH_NULL] = NOTHING,
    };
    return designs[path];
}

/* ---- one GET ---- */

static void aim(struct bench *b, uint64_t slot, struct target *t, enum design design)
{
    struct get *g = &b->gets[slot];
    g->key = t->key;
    g->design = design;
    g->known = &t->known;
    if (design == RAW_COPY || design == RAW_GET) { /* as many bytes as the value has, from the entry's beginning */
        uint64_t lines = (b->options->size + LINE - 1) / LINE;
        b->raw[slot] = (struct place){t->known.line, lines < t->known.lines ? (uint32_t)lines : t->known.lines};
        g->known = &b->raw[slot];
    }
}

/* Compare what was got with what it must be. */
static void verify(struct bench *b, uint64_t slot, struct target *t)
{
    struct get *g = &b->gets[slot];
    const char *value = g->value;
    uint64_t length = g->value_length, version = g->version;
    if (g->outcome != GOT)
        fail("%s: %s", t->key, outcome_texts[g->outcome]);
    if (g->design == RAW_COPY || g->design == RAW_GET) {
        value = g->buffer + value_offset(OBJECT_KEY);
        length = (uint64_t)g->place.lines * LINE - value_offset(OBJECT_KEY);
        version = ((struct head *)(void *)g->buffer)->version;
    }
    if (g->design == NOTHING) {
        b->tally.right++;
        return;
    }
    if (length > b->options->size)
        length = b->options->size;
    b->tally.bytes += length;
    if (!pattern_holds(value, length, t->hash, version))
        b->tally.torn++;
    else if (version < t->last_version)
        b->tally.stale++;
    else
        b->tally.right++;
    t->last_version = version > t->last_version ? version : t->last_version;
}

static struct target *target_of(const struct bench *b, uint64_t number)
{
    return &b->targets[number % b->target_count];
}

static uint64_t timed_get(struct bench *b, uint64_t number, enum design design)
{
    struct target *t = target_of(b, number);
    aim(b, 0, t, design);
    uint64_t before = ticks();
    finish_get(&b->gets[0]);
    uint64_t took = ticks() - before;
    verify(b, 0, t);
    return took;
}

/* The checksum by itself, of what was read last. */
static uint64_t timed_digest(struct bench *b)
{
    static volatile uint64_t kept;
    const char *buffer = b->gets[0].buffer;
    uint64_t before = ticks();
    kept = entry_digest(buffer, buffer + LINE, NULL, b->buffer_lines);
    return ticks() - before + 0 * kept;
}

/* ---- the loops ---- */

static void one_at_a_time(struct bench *b, uint64_t count, uint64_t limit)
{
    enum design design = design_of(b->options->path);
    struct series *s = &b->series[0];
    for (s->done = 0; s->done < count && ticks() - b->tally.began < limit; s->done++)
        keep(s, timed_get(b, s->done, design));
}

/* cached, a raw read, the checksum and memcpy in turn, at objects drawn alike. */
static void in_turn(struct bench *b, uint64_t count, uint64_t limit)
{
    struct series *s = b->series;
    for (uint64_t done = 0; done < count && ticks() - b->tally.began < limit; done++) {
        keep(&s[SERIES_CACHED], timed_get(b, 3 * done, CACHED));
        keep(&s[SERIES_CHECKSUM], timed_digest(b));
        keep(&s[SERIES_GET], timed_get(b, 3 * done + 1, RAW_GET));
        keep(&s[SERIES_MEMCPY], timed_get(b, 3 * done + 2, RAW_COPY));
        for (int i = 0; i < SERIES; i++)
            s[i].done = done + 1;
    }
}

static void take_ended(struct bench *b, uint64_t free_slots[], uint64_t *free_count, struct target *aimed[])
{
    struct client *c = &b->client;
    unsigned count = c->over_count;
    c->over_count = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t slot = (uint64_t)(c->over[i] - b->gets);
        keep(&b->series[0], c->over[i]->ended - b->began[slot]);
        b->series[0].done++;
        verify(b, slot, aimed[slot]);
        free_slots[(*free_count)++] = slot;
    }
}

static void many_at_a_time(struct bench *b, uint64_t count, uint64_t limit)
{
    enum design design = design_of(b->options->path);
    struct target *aimed[MAX_GETS];
    uint64_t free_slots[MAX_GETS], free_count = 0, begun = 0;
    b->series[0].done = 0;
    while (free_count < b->options->outstanding) {
        free_slots[free_count] = free_count;
        free_count++;
    }
    while (b->series[0].done < begun || (begun < count && ticks() - b->tally.began < limit)) {
        while (free_count && begun < count && ticks() - b->tally.began < limit) {
            uint64_t slot = free_slots[--free_count];
            aimed[slot] = target_of(b, begun++);
            aim(b, slot, aimed[slot], design);
            b->began[slot] = ticks();
            begin_get(&b->gets[slot]);
        }
        if (b->series[0].done + b->client.over_count < begun)
            wait_for_any(&b->client);
        take_ended(b, free_slots, &free_count, aimed);
    }
}

static void loop(struct bench *b, uint64_t count, uint64_t limit)
{
    b->client.counts = (struct counts){0};
    b->tally = (struct tally){.began = ticks()};
    for (int i = 0; i < SERIES; i++)
        b->series[i].done = b->series[i].kept = 0;
    double cpu = cpu_seconds();
    if (b->options->path == PATH_BOUND)
        in_turn(b, count, limit);
    else if (b->options->outstanding == 1)
        one_at_a_time(b, count, limit);
    else
        many_at_a_time(b, count, limit);
    b->tally.ended = ticks();
    b->tally.cpu_s = cpu_seconds() - cpu;
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
    open_client(&b->client, options->host, options->port, options->lease_s);
    choose_targets(b);
    prepare_gets(b);
    prepare_series(b);
    locate_targets(b);
    if (options->path == PATH_MESSAGE)
        describe_message(&b->client);
    else if (options->path != PATH_NULL && (!b->client.mapped || options->path == PATH_GET || options->path == PATH_BOUND))
        describe_read(&b->client, options->size);
    uint64_t limit = (uint64_t)(options->max_seconds * 1e9 / ns_per_tick(start));
    if (options->write)
        ask_for_writes(&b->client, (struct writing){options->objects, options->size, options->resize});
    if (options->warmup)
        loop(b, options->warmup, limit);
    struct mark before = mark(&b->client);
    printf("{\"event\":\"measuring\"}\n");
    if (fflush(stdout))
        fail("standard output: %s", strerror(errno));
    loop(b, options->iterations, limit);
    struct mark after = mark(&b->client);
    if (options->write)
        ask_for_writes(&b->client, (struct writing){0});
    report(options, &b->client, b->series, &b->tally, &before, &after, ns_per_tick(start));
    close_client(&b->client);
}
