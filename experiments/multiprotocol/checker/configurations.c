/* Sets of the configurations that a register could be in. */
#define _POSIX_C_SOURCE 199309L
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "search.h"

#define COMPARED 64 /* configurations that a new one is compared with */
#define UNWATCHED 4096 /* words of work, some microseconds, between two looks at the clock */

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Adds to the work done, and returns whether the deadline has passed. Every loop over configurations, or over the operations
 * in them, asks it, since one step may take long: sets grow with the number of operations that are open. */
int overdue(configurations *c, int64_t work)
{
    c->work += work;
    if (c->work >= UNWATCHED) {
        c->work = 0;
        c->late = c->late || seconds_now() > c->deadline;
    }
    return c->late;
}

static uint64_t hash(const uint64_t *words, int32_t count)
{
    uint64_t h = 0x9E3779B97F4A7C15ull;
    for (int32_t i = 0; i < count; i++) {
        h = (h ^ words[i]) * 0xD6E8FEB86659FD93ull;
        h ^= h >> 32;
    }
    return h;
}

static int enter_table(configurations *c, int64_t i)
{
    const uint64_t *words = at(c, i);
    uint64_t place = hash(words, c->stride) & c->mask;
    for (; c->table[place]; place = (place + 1) & c->mask)
        if (!memcmp(at(c, c->table[place] - 1), words, c->stride * sizeof *words)) return 0;
    c->table[place] = (int32_t)i + 1;
    return 1;
}

/* Makes the table for at least `count` configurations, and enters those there are. */
int tabulate(configurations *c, int64_t count)
{
    uint64_t mask = 31;
    while (mask < 3 * (uint64_t)count) mask = 2 * mask + 1;
    int32_t *table = realloc(c->table, (mask + 1) * sizeof *table);
    if (!table) return 0;
    memset(table, 0, (mask + 1) * sizeof *table);
    c->table = table;
    c->mask = mask;
    for (int64_t i = 0; i < c->count; i++) enter_table(c, i);
    return 1;
}

int make_room(configurations *c, int64_t count)
{
    if (count <= c->room) return 1;
    int64_t room = 2 * count + 64;
    uint64_t *words = realloc(c->words, room * c->stride * sizeof *words);
    if (words) c->words = words;
    uint64_t *spare = realloc(c->spare, room * c->stride * sizeof *spare);
    if (spare) c->spare = spare;
    ranked *order = realloc(c->order, room * sizeof *order);
    if (order) c->order = order;
    if (!words || !spare || !order) return 0;
    c->room = room;
    return 1;
}

/* The place for one more, to be filled and then kept (`keep`) or not. */
uint64_t *blank(configurations *c)
{
    if (!make_room(c, c->count + 1)) return NULL;
    if (2 * (uint64_t)c->count >= c->mask && !tabulate(c, 2 * c->count)) return NULL;
    return at(c, c->count);
}

void keep(configurations *c) { c->count += enter_table(c, c->count); }

void discard(configurations *c)
{
    free(c->words); free(c->spare); free(c->table); free(c->order);
}

/* The less is owed and the more can be used, the more can still come of it. */
static int64_t burden(const configurations *c, const uint64_t *one)
{
    int64_t b = 0;
    for (int32_t i = 1; i <= c->set_words; i++)
        b += __builtin_popcountll(one[i]) - __builtin_popcountll(one[i + c->set_words]);
    return b;
}

/* Whether `other`, of the same value, makes `one` superfluous. */
static int superfluous(const configurations *c, const uint64_t *other, const uint64_t *one)
{
    const uint64_t *o = other + 1, *ou = o + c->set_words, *w = one + 1, *wu = w + c->set_words;
    for (int32_t i = 0; i < c->set_words; i++) if (o[i] & ~w[i] || wu[i] & ~ou[i]) return 0;
    return 1;
}

static int by_burden(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->burden != y->burden) return x->burden < y->burden ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->value != y->value ? (x->value < y->value ? -1 : 1) : by_burden(a, b);
}

/* Drops the configurations that another one makes superfluous, and those beyond the `beam` (0: none); sets `cut` then. */
int thin(configurations *c, int64_t beam, int *cut)
{
    if (c->count < 2) return 1;
    if (!make_room(c, c->count)) return 0;
    ranked *order = c->order;
    int64_t kept = 0, run = 0; /* `run`: the first kept of this value */
    for (int64_t i = 0; i < c->count; i++) {
        order[i] = (ranked){(int64_t)at(c, i)[0], burden(c, at(c, i)), i};
        if (overdue(c, c->stride)) return 0;
    }
    qsort(order, c->count, sizeof *order, by_value);
    for (int64_t n = 0; n < c->count; n++) {
        const uint64_t *one = at(c, order[n].index);
        int needed = 1;
        if (kept && order[kept - 1].value != order[n].value) run = kept;
        for (int64_t i = run; needed && i < kept && i < run + COMPARED; i++) {
            needed = !superfluous(c, at(c, order[i].index), one);
            if (overdue(c, c->stride)) return 0;
        }
        if (needed) order[kept++] = order[n];
    }
    qsort(order, kept, sizeof *order, by_burden); /* those from which most can still come go on first */
    if (beam && kept > beam) *cut = 1, kept = beam;
    for (int64_t i = 0; i < kept; i++) memcpy(c->spare + i * c->stride, at(c, order[i].index), c->stride * sizeof *c->spare);
    uint64_t *old = c->words;
    c->words = c->spare;
    c->spare = old;
    c->count = kept;
    return 1;
}
