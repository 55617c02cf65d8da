/* The table: what the one thread of the server does to its memory. Readers look on at any time. */
#pragma once
#include "layout.h"

enum status { STORED, FOUND, ABSENT, INDEX_FULL, HEAP_FULL, KEY_TOO_LONG, VALUE_TOO_LARGE, NOT_DURABLE, STATUSES };
extern const char *const status_names[];

struct table {
    struct geometry geometry;
    char *memory;
    uint64_t last_version, objects, capacity, next_line, heap_lines;
    uint32_t free_lists[MAX_LINES + 1]; /* by an entry's lines: the first retired one, 0 for none */
};

uint64_t buckets_for(uint64_t capacity);
struct table *create_table(void *memory, uint64_t lines, uint64_t capacity, uint64_t epoch);

/* Each returns STORED or FOUND, or why not. `fill` writes a value of `length` bytes for a version. */
typedef void fill_value(void *value, size_t length, uint64_t hash, uint64_t version, const void *source);
enum status put(struct table *t, const char *key, size_t key_length, size_t length, fill_value *fill, const void *source);
enum status find(struct table *t, const char *key, size_t key_length, struct place *place);
enum status room_for(const struct table *t, const char *key, size_t key_length,
                     size_t length); /* what `put` would return */
enum status discard(struct table *t, const char *key, size_t key_length);

static inline void *at_line(const struct table *t, uint64_t line)
{
    return t->memory + line * LINE;
}

/* Note that the server lives. */
static inline void beat(struct table *t)
{
    struct header *header = at_line(t, 0);
    __atomic_store_n(&header->heartbeat, header->heartbeat + 1, __ATOMIC_RELEASE);
}
