/* The memory that a server exposes and clients read one-sidedly: a header line, the index, the heap.
 *
 * Everything is counted in lines of 64 bytes. An entry is `head`, the key, the value (at a multiple of 8), zeros, and in
 * its last 8 bytes the version again. A slot of the index is one word, so that it is read and written whole.
 * Keys never move between buckets while they exist, so a reader that follows the probe order misses none. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LINE 64u
#define MAX_KEY 128u
#define MAX_LINES ((1u << 17) - 1) /* of one entry: 8 MiB */
#define SLOTS 7u                   /* of a bucket; its eighth word counts the keys that had to go further */
#define MAX_PROBES 32u             /* buckets that a key may be away from its home, and a reader looks at */
#define MAGIC 0x65726f7473313030u

/* The two low bits of a version; the rest counts by VERSION_STEP over the life of a server, never twice the same. */
#define WRITING 1u
#define RETIRED 2u
#define VERSION_STEP 4u

struct header {
    uint64_t magic, epoch, heartbeat, unused[5];
};

struct bucket {
    uint64_t slots[SLOTS], passed;
};

struct head {
    uint64_t version, digest; /* the digest is over the entry's lines with this word as 0 */
    uint32_t value_length;
    uint16_t key_length, zero;
};

/* How a server tells its memory; nothing of it is believed before `geometry_in_bounds`. */
struct geometry {
    uint64_t base, lines, buckets, epoch;
};

_Static_assert(sizeof(struct header) == LINE && sizeof(struct bucket) == LINE && sizeof(struct head) == 24, "layout");

/* ---- entries ---- */

static inline uint64_t value_offset(uint64_t key_length)
{
    return (sizeof(struct head) + key_length + 7) & ~(uint64_t)7;
}

static inline uint64_t entry_lines(uint64_t key_length, uint64_t value_length)
{
    return (value_offset(key_length) + value_length + sizeof(uint64_t) + LINE - 1) / LINE;
}

static inline uint64_t *tail_version(void *entry, uint64_t lines)
{
    return (uint64_t *)(void *)((char *)entry + lines * LINE - sizeof(uint64_t));
}

/* ---- slots: 15 bits of the key's hash, 17 of the entry's lines, 32 of its place ---- */

struct place {
    uint32_t line, lines; /* lines 0: none */
};

static inline uint64_t pack_slot(uint64_t hash, struct place place)
{
    return (hash & 0x7fff) << 49 | (uint64_t)place.lines << 32 | place.line;
}

static inline struct place slot_place(uint64_t slot)
{
    return (struct place){(uint32_t)slot, (uint32_t)(slot >> 32) & MAX_LINES};
}

static inline bool slot_matches(uint64_t slot, uint64_t hash)
{
    return slot_place(slot).lines && slot >> 49 == (hash & 0x7fff);
}

/* ---- keys ---- */

static inline uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t hash_key(const char *key, size_t length)
{
    uint64_t hash = length * 0x9e3779b97f4a7c15u, word;
    for (; length >= sizeof word; length -= sizeof word, key += sizeof word) {
        memcpy(&word, key, sizeof word);
        hash = mixed(hash ^ word);
    }
    word = 0;
    memcpy(&word, key, length);
    return mixed(hash ^ word);
}

/* The key's home from the upper bits of its hash, the fingerprint from the lower ones. */
static inline uint64_t home_bucket(uint64_t hash, uint64_t buckets)
{
    return (uint64_t)(((unsigned __int128)hash * buckets) >> 64);
}

/* ---- bounds ---- */

static inline bool geometry_in_bounds(const struct geometry *g)
{
    return g->base % LINE == 0 && g->lines <= UINT32_MAX && g->buckets > 0 && g->buckets < g->lines &&
           g->base <= UINT64_MAX - g->lines * LINE;
}

/* Is this inside the heap of that memory? */
static inline bool place_in_bounds(const struct geometry *g, struct place place)
{
    return place.lines > 0 && place.line > g->buckets && place.line < g->lines && place.lines <= g->lines - place.line;
}
