/* What the parts of the search share: see search.c. */
#ifndef SEARCH_H
#define SEARCH_H
#include "history.h"

typedef struct {
    uint8_t kind;
    int32_t value, set_to; /* numbered from 0 within this history */
    int32_t slot, alike;   /* its bit while it is open; operations that do the same have the same `alike` */
    int64_t invoked, completed;
} operation;

typedef struct { int64_t at; int32_t completes, op; } event;

double seconds_now(void); /* configurations.c */

/* search.c */
int32_t history_search(const history *h, double seconds, int64_t most, int64_t beam, int32_t *proof, int32_t *certain);

/* prepare.c. Each returns how many there are, or -1 without memory. */
int32_t number_values(const history *h, operation *ops, int32_t *first);
int32_t number_alike(operation *ops, int32_t count);
int32_t schedule(operation *ops, int32_t count, event *events, int64_t *events_count, int32_t *free_slots);

/* refute.c */
int32_t refute(const operation *ops, int32_t count, int32_t first, int64_t *hider);

typedef struct { int64_t value, burden, index; } ranked;

/* configurations.c. A set of them, each of `stride` words: the value held, a set of what is owed, one of what is usable
 * (`set_words` words each). */
typedef struct {
    uint64_t *words;
    int64_t count, room;
    int32_t *table; /* 1 + index, by hash */
    uint64_t mask;
    int32_t set_words, stride;
    uint64_t *spare; /* of as much room */
    ranked *order;
    double deadline; /* by the monotonic clock, in seconds */
    int64_t work;    /* words looked at since the last look at the clock */
    int late;
} configurations;

static inline uint64_t *at(const configurations *c, int64_t i) { return c->words + i * c->stride; }
static inline int has(const uint64_t *set, int32_t slot) { return (int)(set[slot >> 6] >> (slot & 63) & 1); }
static inline void add(uint64_t *set, int32_t slot) { set[slot >> 6] |= 1ull << (slot & 63); }
static inline void drop(uint64_t *set, int32_t slot) { set[slot >> 6] &= ~(1ull << (slot & 63)); }

int overdue(configurations *c, int64_t work);

/* pending.c */
int leave_out_pending(
    operation *ops, int32_t count, int32_t first, int32_t values, int32_t *observers, int32_t *failing, configurations *clock);

/* Each returns 0 without memory; `thin` also when it is overdue. */
int make_room(configurations *c, int64_t count);
int tabulate(configurations *c, int64_t count);
uint64_t *blank(configurations *c);
int thin(configurations *c, int64_t beam, int *cut);

void keep(configurations *c);
void discard(configurations *c);
#endif
