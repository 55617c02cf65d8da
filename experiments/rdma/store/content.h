/* What the benchmark stores: objects `object-000000000`, ... whose value is a function of key and version, so that a
 * reader can tell a whole value from one that is torn, old lines with new ones, or somebody else's. */
#pragma once
#include "layout.h"
#include <stdio.h>

#define OBJECT_KEY 16u

static inline void object_key(char key[OBJECT_KEY + 1], uint64_t number)
{
    (void)snprintf(key, OBJECT_KEY + 1, "object-%09u", (unsigned)(number % 1000000000u));
}

struct pattern {
    uint64_t first, step;
};

static inline struct pattern pattern(uint64_t hash, uint64_t version)
{
    uint64_t first = mixed(hash ^ version);
    return (struct pattern){first, mixed(first) | 1};
}

/* A `fill_value`; the bytes after the last whole word are 0. */
static inline void fill_pattern(void *value, size_t length, uint64_t hash, uint64_t version, const void *unused)
{
    struct pattern p = pattern(hash, version);
    uint64_t *words = value;
    (void)unused;
    for (size_t i = 0; i < length / 8; i++)
        words[i] = p.first + i * p.step;
    memset(words + length / 8, 0, length % 8);
}

/* Are the first `length` bytes those of this key and version? */
static inline bool pattern_holds(const void *value, size_t length, uint64_t hash, uint64_t version)
{
    struct pattern p = pattern(hash, version);
    const uint64_t *words = value;
    uint64_t wrong = 0;
    for (size_t i = 0; i < length / 8; i++)
        wrong |= words[i] ^ (p.first + i * p.step);
    return !wrong;
}
