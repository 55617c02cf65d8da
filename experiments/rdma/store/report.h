/* The result: samples, counts, and the JSON. */
#pragma once
#include "client.h"
#include "counters.h"
#include "options.h"

/* A loop of one kind of GET has one series; the one of `bound` these. */
enum { SERIES_MEMCPY, SERIES_GET, SERIES_CACHED, SERIES_CHECKSUM, SERIES };

/* Samples in ticks; with no `room` they are not kept. */
struct series {
    uint64_t *samples, room, kept, done;
};

/* What came of the reads of one loop. */
struct tally {
    uint64_t began, ended, right, torn, stale, bytes;
    double cpu_s;
};

/* What server and device had counted at one time. */
struct session {
    struct mark mark;
    struct counters counters;
};

struct series new_series(uint64_t room);

static inline void keep(struct series *s, uint64_t sample)
{
    if (s->kept < s->room)
        s->samples[s->kept++] = sample;
}

void report(const struct options *o, const struct client *c, const struct series *series, const struct tally *tally,
            const struct session *before, const struct session *after, double ns_per_tick);
void write_samples(const struct series *s, const char *path, const char *suffix,
                   double ns_per_tick); /* to path + suffix */
void print_string(const char *text, size_t length);
