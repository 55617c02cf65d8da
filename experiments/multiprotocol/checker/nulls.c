/* Places the reads of the initial value between the writes of it, where all other values are written once (unique.c): goes
 * through time, and decides as late as it can. The initial value is called null here, and its writes deletes. */
#include <stdlib.h>

#include "unique.h"

typedef struct { int64_t at; int32_t what, index; } event; /* index of a block, or place of an operation */

/* At one instant: what comes into reach, then what must be done by now, the start of a busy block after all that is
 * due, its end before all that comes. (a precedes b when a completes before b is invoked: at a tie they overlap.) */
enum { END_BUSY, OPEN_DELETE, OPEN_CREATE, OPEN_READ, OPEN_BLOCK, DUE_READ, DUE_CREATE, DUE_BLOCK, DUE_DELETE, BEGIN_BUSY };

static int by_time(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x->what < y->what ? -1 : x->what > y->what;
}

/* Items of the heaps: places of deletes, and -1 - index of blocks. */
static int64_t due(const work *w, int32_t item)
{
    return item < 0 ? w->blocks[-item - 1].first : w->h->completed[w->ops[item]];
}

static void push(const work *w, int32_t *heap, int32_t *size, int32_t item)
{
    int32_t at = (*size)++;
    while (at && due(w, heap[(at - 1) / 2]) > due(w, item)) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = item;
}

static int32_t pop(const work *w, int32_t *heap, int32_t *size)
{
    int32_t top = heap[0], item = heap[--*size], at = 0;
    for (;;) {
        int32_t below = 2 * at + 1;
        if (below >= *size) break;
        if (below + 1 < *size && due(w, heap[below + 1]) < due(w, heap[below])) below++;
        if (due(w, heap[below]) >= due(w, item)) break;
        heap[at] = heap[below];
        at = below;
    }
    heap[at] = item;
    return top;
}

/* Clips the window [from, to] to the gaps between busy blocks, and returns whether anything is left of it. */
static int clip(const int64_t *begins, const int64_t *ends, int32_t n, int64_t *from, int64_t *to)
{
    int32_t low = 0, high = n; /* the last busy block that begins before `from` */
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (begins[middle] < *from) low = middle + 1;
        else high = middle;
    }
    if (low && *from < ends[low - 1]) *from = ends[low - 1];
    low = 0, high = n;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (begins[middle] < *to) low = middle + 1;
        else high = middle;
    }
    if (low && *to < ends[low - 1]) *to = begins[low - 1];
    return *from <= *to;
}

/* ---- the sweep ---- */

typedef struct {
    const work *w;
    int32_t *deletes, *creates;          /* heaps of what is open, what is due first on top */
    int32_t deletes_count, creates_count;
    uint8_t *used, *placed;              /* deletes by operation's place, blocks by index */
    int64_t null_at, other_at;           /* position in the sweep of the last instant of null, and of another state */
    int null;
} register_state;

static void other(register_state *r, int64_t now) { r->null = 0; r->other_at = now; }

/* Places an open block that needs null, if there is one. */
static int create(register_state *r, int64_t now)
{
    while (r->creates_count) {
        int32_t i = -pop(r->w, r->creates, &r->creates_count) - 1;
        if (r->placed[i]) continue;
        r->placed[i] = 1;
        other(r, now);
        return 1;
    }
    return 0;
}

/* Uses a delete: what is open and not null goes right before it, what reads null right after. */
static void make_null(register_state *r, int32_t op, int64_t now)
{
    if (r->null) create(r, now);
    r->used[op] = 1;
    r->other_at = r->null_at = now;
    r->null = 1;
}

static int need_null(register_state *r, int64_t now)
{
    while (!r->null && r->deletes_count) {
        int32_t op = pop(r->w, r->deletes, &r->deletes_count);
        if (!r->used[op]) make_null(r, op, now);
    }
    return r->null;
}

/* Goes through the events in order. Places each thing as late as it may be; null is the better state to be in, so a
 * delete is used when null is needed or when its time is up, and of several open ones the one that is due first.
 * Returns the event that cannot be satisfied, or -1. */
static int32_t place(register_state *r, const event *e, int32_t count, int64_t *opened_read, int64_t *opened_block)
{
    const block *b = r->w->blocks;
    for (int32_t now = 0; now < count; now++) {
        int32_t i = e[now].index;
        switch (e[now].what) {
        case OPEN_DELETE: push(r->w, r->deletes, &r->deletes_count, i); break;
        case OPEN_CREATE: push(r->w, r->creates, &r->creates_count, -i - 1); break;
        case OPEN_READ: opened_read[i] = r->null ? -1 : now; break;
        case OPEN_BLOCK: opened_block[i] = r->null ? now : -1; break;
        case DUE_READ:
            if (opened_read[i] > r->null_at && !need_null(r, now)) return now;
            break;
        case DUE_CREATE:
            if (r->placed[i]) break;
            if (!need_null(r, now)) return now;
            r->placed[i] = 1;
            other(r, now);
            break;
        case DUE_BLOCK:
            if (opened_block[i] <= r->other_at) break;
            create(r, now);
            other(r, now);
            break;
        case DUE_DELETE:
            if (!r->used[i]) make_null(r, i, now);
            break;
        case BEGIN_BUSY:
            if (b[i].on_initial) { if (!need_null(r, now)) return now; }
            else if (r->null) create(r, now);
            other(r, now);
            break;
        default: break; /* END_BUSY changes nothing */
        }
    }
    return -1;
}

/* Fills `e` with what happens when; returns the number of events, or -1 - op for one that has no place. */
static int32_t schedule(const work *w, event *e, int64_t *begins, int64_t *ends)
{
    const history *h = w->h;
    int32_t busy = 0, count = 0;
    for (int32_t i = 0; i < w->blocks_count; i++) {
        const block *b = &w->blocks[i];
        if (b->first >= b->last) continue;
        begins[busy] = b->first;
        ends[busy++] = b->last;
        e[count++] = (event){b->first, BEGIN_BUSY, i};
        e[count++] = (event){b->last, END_BUSY, i};
    }
    for (int32_t i = 0; i < w->blocks_count; i++) {
        const block *b = &w->blocks[i];
        int64_t from = b->last, to = b->first;
        if (b->first < b->last) continue;
        clip(begins, ends, busy, &from, &to); /* something is left: no busy block contains it, and none overlap */
        e[count++] = (event){from, b->on_initial ? OPEN_CREATE : OPEN_BLOCK, i};
        e[count++] = (event){to, b->on_initial ? DUE_CREATE : DUE_BLOCK, i};
    }
    for (int32_t i = 0; i < w->count; i++) {
        int32_t op = w->ops[i];
        int does = role(w, op), deletes = does == RESTORES;
        if (!deletes && (does != READS || h->value[op] != h->initial)) continue;
        int64_t from = h->invoked[op], to = h->completed[op];
        if (!clip(begins, ends, busy, &from, &to)) return -1 - op; /* it would interrupt a busy block */
        e[count++] = (event){from, deletes ? OPEN_DELETE : OPEN_READ, i};
        if (to != NEVER) e[count++] = (event){to, deletes ? DUE_DELETE : DUE_READ, i};
    }
    qsort(e, count, sizeof *e, by_time);
    return count;
}

int sweep(work *w)
{
    size_t n = w->blocks_count, m = w->count;
    event *e = calloc(2 * (n + m) + 1, sizeof *e);
    int64_t *times = malloc((3 * n + m + 1) * sizeof *times);
    int32_t *heaps = malloc((n + m + 1) * sizeof *heaps);
    uint8_t *flags = calloc(n + m + 1, 1);
    int result = SEARCH;
    if (e && times && heaps && flags) {
        int32_t count = schedule(w, e, times, times + n);
        register_state r = {
            .w = w, .deletes = heaps, .creates = heaps + m, .used = flags, .placed = flags + m,
            .null = 1, .null_at = -1, .other_at = -2,
        };
        result = count < 0 ? VIOLATED(w, -1 - count) : place(&r, e, count, times + 2 * n, times + 2 * n + m) < 0 ? FINE : VIOLATED(w, NONE);
    }
    free(e); free(times); free(heaps); free(flags);
    return result;
}
