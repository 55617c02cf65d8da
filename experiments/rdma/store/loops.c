/* The measuring loops: GETs of random objects, each timed by itself and its value then compared, byte by byte, with what
 * key and version say it must be. The comparison is not part of a sample; it is part of the elapsed time. */
#include "bench.h"
#include "content.h"
#include "digest.h"
#include "fail.h"

static enum design design_of(enum path path)
{
    static const enum design designs[] = {
        [PATH_MEMCPY] = RAW_COPY, [PATH_GET] = RAW_GET,  [PATH_CACHED] = CACHED,    [PATH_LOOKUP] = LOOKUP,
        [PATH_MESSAGE] = MESSAGE, [PATH_NULL] = NOTHING, [PATH_TOGETHER] = MESSAGE,
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
        fail("%s: %s", t->key, outcome_text(&b->client, g->outcome));
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
            wait_for(&b->client, 1);
        take_ended(b, free_slots, &free_count, aimed);
    }
}

static uint64_t timed_batch(struct bench *b, uint64_t first, enum design design)
{
    struct client *c = &b->client;
    uint64_t size = b->options->batch;
    for (uint64_t i = 0; i < size; i++)
        aim(b, i, target_of(b, first + i), design);
    uint64_t before = ticks();
    if (b->options->path == PATH_TOGETHER)
        begin_together(c);
    for (uint64_t i = 0; i < size; i++)
        begin_get(&b->gets[i]);
    if (c->gathering && !ask_together(c))
        fail("%s", outcome_text(c, READ_FAILED));
    wait_for(c, (unsigned)size);
    uint64_t took = ticks() - before;
    c->over_count = 0;
    for (uint64_t i = 0; i < size; i++)
        verify(b, i, target_of(b, first + i));
    return took;
}

/* All GETs of a batch are begun before any is waited for; a sample is a whole batch. */
static void in_batches(struct bench *b, uint64_t count, uint64_t limit)
{
    enum design design = design_of(b->options->path);
    struct series *s = &b->series[0];
    for (s->done = 0; s->done < count && ticks() - b->tally.began < limit; s->done++)
        keep(s, timed_batch(b, s->done * b->options->batch, design));
}

void loop(struct bench *b, uint64_t count, uint64_t limit)
{
    b->client.counts = (struct counts){0};
    b->tally = (struct tally){.began = ticks()};
    for (int i = 0; i < SERIES; i++)
        b->series[i].done = b->series[i].kept = 0;
    double cpu = cpu_seconds();
    if (b->options->path == PATH_BOUND)
        in_turn(b, count, limit);
    else if (b->options->batch > 1 || b->options->path == PATH_TOGETHER)
        in_batches(b, count, limit);
    else if (b->options->outstanding == 1)
        one_at_a_time(b, count, limit);
    else
        many_at_a_time(b, count, limit);
    b->tally.ended = ticks();
    b->tally.cpu_s = cpu_seconds() - cpu;
}
