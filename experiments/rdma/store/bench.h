/* What the measuring loops share with what prepares them. */
#pragma once
#include "client.h"
#include "content.h"
#include "options.h"
#include "report.h"

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

void loop(struct bench *b, uint64_t count, uint64_t limit); /* at most so many GETs or batches, or ticks */
