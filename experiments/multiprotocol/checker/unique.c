/* Decides whether each key's history is linearizable where every value is written at most once, in O(n log n), after
 * Gibbons and Korach (SIAM J. Computing 26, 1997). The writes of null (deletes) may repeat.
 *
 * A cluster is a value: its write and its reads. Successful compare-and-sets chain clusters into blocks, which no
 * other write may interrupt. A block must be over the register from its earliest completion `first` to its latest
 * invocation `last` when first < last (it is busy then), and else fits at one instant of [last, first]. Blocks i and j
 * exclude each other exactly when first(i) < last(j) and first(j) < last(i). Reads of null between deletes are placed
 * by a sweep over time (see `sweep`). */
#include <stdlib.h>
#include <string.h>

#include "history.h"

enum { FINE, VIOLATION, SEARCH };
enum { NONE = -1, ALWAYS = -2 }; /* no operation; the initial null */
#define MAX_PROOF 8

typedef struct {
    int32_t head;              /* the operation that wrote the value, or ALWAYS */
    int32_t parent, child;     /* clusters before and after a compare-and-set */
    int64_t first, last;       /* earliest completion, latest invocation */
    int32_t first_op, last_op;
    uint8_t needed, visited;
} cluster;

typedef struct {
    int64_t first, last;
    int32_t first_op, last_op, root;
    uint8_t on_null;           /* begins with a compare-and-set that expects null, where there are deletes */
} block;

typedef struct { int64_t at; int32_t what, index; } event; /* index of a block, or place of an operation */

typedef struct {
    const history *h;
    const int32_t *ops;        /* of one key */
    int32_t count;
    int32_t *slot;             /* cluster of each value, valid where stamp == key */
    int32_t *stamp, key;
    cluster *clusters;
    int32_t clusters_count;
    block *blocks;
    int32_t blocks_count;
    int64_t *reach;            /* greatest `last` of the blocks so far */
    int32_t *reach_of;
    int32_t *proof, proof_count;
} work;

static int violated(work *w, const int32_t *ops, int count)
{
    w->proof_count = 0;
    for (int i = 0; i < count && i < MAX_PROOF; i++)
        if (ops[i] >= 0) w->proof[w->proof_count++] = ops[i];
    return VIOLATION;
}
#define VIOLATED(w, ...) violated(w, (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static int find(const work *w, int32_t value) { return w->stamp[value] == w->key ? w->slot[value] : NONE; }

static int add_cluster(work *w, int32_t value, int32_t op)
{
    if (find(w, value) != NONE) return 0;
    w->stamp[value] = w->key;
    w->slot[value] = w->clusters_count;
    cluster *c = &w->clusters[w->clusters_count++];
    *c = (cluster){.head = op, .parent = NONE, .child = NONE, .first_op = op, .last_op = op};
    c->first = op == ALWAYS ? INT64_MIN : w->h->completed[op];
    c->last = op == ALWAYS ? INT64_MIN : w->h->invoked[op];
    c->needed = op == ALWAYS || c->first != NEVER;
    return 1;
}

/* Makes a cluster of each written value. Returns SEARCH when one is written twice or a compare-and-set failed. */
static int collect(work *w, int *deletes)
{
    const history *h = w->h;
    *deletes = 0;
    for (int32_t i = 0; i < w->count; i++) {
        int32_t op = w->ops[i];
        if (h->kind[op] == FAILED_CAS) return SEARCH;
        if (h->kind[op] == WRITE && h->value[op] == ABSENT) *deletes += 1;
        if (h->kind[op] == CAS && h->set_to[op] == ABSENT) return SEARCH;
    }
    if (!*deletes) add_cluster(w, ABSENT, ALWAYS);
    for (int32_t i = 0; i < w->count; i++) {
        int32_t op = w->ops[i];
        if (h->kind[op] == WRITE && h->value[op] != ABSENT && !add_cluster(w, h->value[op], op)) return SEARCH;
        if (h->kind[op] == CAS && !add_cluster(w, h->set_to[op], op)) return SEARCH;
    }
    return FINE;
}

static int add_reads(work *w, int deletes)
{
    const history *h = w->h;
    for (int32_t i = 0; i < w->count; i++) {
        int32_t op = w->ops[i];
        if (h->kind[op] != READ || (deletes && h->value[op] == ABSENT)) continue;
        int at = find(w, h->value[op]);
        if (at == NONE) return VIOLATED(w, op);
        cluster *c = &w->clusters[at];
        if (c->head >= 0 && h->completed[op] < h->invoked[c->head]) return VIOLATED(w, op, c->head);
        c->needed = 1;
        if (h->completed[op] < c->first) c->first = h->completed[op], c->first_op = op;
        if (h->invoked[op] > c->last) c->last = h->invoked[op], c->last_op = op;
    }
    return FINE;
}

/* Links clusters whose compare-and-set must have happened to the cluster of the value that it expects. */
static int chain(work *w, int deletes)
{
    const history *h = w->h;
    for (int32_t start = 0; start < w->clusters_count; start++)
        for (int32_t at = start; at != NONE && w->clusters[at].needed && !w->clusters[at].visited;) {
            cluster *c = &w->clusters[at];
            c->visited = 1;
            if (c->head < 0 || h->kind[c->head] != CAS || (deletes && h->value[c->head] == ABSENT)) break;
            int parent = find(w, h->value[c->head]);
            if (parent == NONE) return VIOLATED(w, c->head);
            if (parent == at) return SEARCH;
            cluster *p = &w->clusters[parent];
            if (p->child != NONE) return VIOLATED(w, c->head, w->clusters[p->child].head, p->head);
            p->child = at;
            c->parent = parent;
            p->needed = 1;
            at = parent;
        }
    return FINE;
}

/* Makes blocks of chains, and looks whether each is in order in itself. */
static int make_blocks(work *w)
{
    const history *h = w->h;
    int32_t in_blocks = 0, needed = 0;
    for (int32_t i = 0; i < w->clusters_count; i++) {
        cluster *c = &w->clusters[i];
        needed += c->needed;
        if (!c->needed || c->parent != NONE) continue;
        block b = {c->first, c->last, c->first_op, c->last_op, i, 0};
        b.on_null = c->head >= 0 && h->kind[c->head] == CAS;
        in_blocks++;
        for (int32_t next = c->child; next != NONE; next = w->clusters[next].child, in_blocks++) {
            cluster *n = &w->clusters[next];
            if (n->first < b.last) return VIOLATED(w, b.last_op, n->first_op, n->head, c->head);
            if (n->first < b.first) b.first = n->first, b.first_op = n->first_op;
            if (n->last > b.last) b.last = n->last, b.last_op = n->last_op;
        }
        w->blocks[w->blocks_count++] = b;
    }
    return in_blocks == needed ? FINE : VIOLATED(w, NONE); /* else a ring of compare-and-sets */
}

static int by_first(const void *a, const void *b)
{
    const block *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int exclude_each_other(work *w, const block *i, const block *j)
{
    return VIOLATED(w, w->clusters[i->root].head, i->first_op, i->last_op, w->clusters[j->root].head, j->first_op, j->last_op);
}

static int pairs(work *w)
{
    block *b = w->blocks;
    int32_t n = w->blocks_count;
    qsort(b, n, sizeof *b, by_first);
    for (int32_t j = 0; j < n; j++) {
        int32_t earlier = j; /* blocks with first < last(j), without j */
        if (b[j].last <= b[j].first) {
            int32_t low = 0, high = j;
            while (low < high) {
                int32_t middle = low + (high - low) / 2;
                if (b[middle].first < b[j].last) low = middle + 1;
                else high = middle;
            }
            earlier = low;
        }
        if (earlier && w->reach[earlier - 1] > b[j].first) return exclude_each_other(w, &b[w->reach_of[earlier - 1]], &b[j]);
        w->reach[j] = j && w->reach[j - 1] >= b[j].last ? w->reach[j - 1] : b[j].last;
        w->reach_of[j] = w->reach[j] == b[j].last && !(j && w->reach[j - 1] >= b[j].last) ? j : w->reach_of[j - 1];
    }
    return FINE;
}

/* ---- null between deletes ---- */

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
            if (b[i].on_null) { if (!need_null(r, now)) return now; }
            else if (r->null) create(r, now);
            other(r, now);
            break;
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
        e[count++] = (event){from, b->on_null ? OPEN_CREATE : OPEN_BLOCK, i};
        e[count++] = (event){to, b->on_null ? DUE_CREATE : DUE_BLOCK, i};
    }
    for (int32_t i = 0; i < w->count; i++) {
        int32_t op = w->ops[i];
        int deletes = h->kind[op] == WRITE;
        if (h->value[op] != ABSENT || (!deletes && h->kind[op] != READ)) continue;
        int64_t from = h->invoked[op], to = h->completed[op];
        if (!clip(begins, ends, busy, &from, &to)) return -1 - op; /* it would interrupt a busy block */
        e[count++] = (event){from, deletes ? OPEN_DELETE : OPEN_READ, i};
        if (to != NEVER) e[count++] = (event){to, deletes ? DUE_DELETE : DUE_READ, i};
    }
    qsort(e, count, sizeof *e, by_time);
    return count;
}

static int sweep(work *w)
{
    size_t n = w->blocks_count, m = w->count;
    event *e = malloc((2 * (n + m) + 1) * sizeof *e);
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

/* ---- one key, and all ---- */

static int check_key(work *w)
{
    int deletes, found;
    w->clusters_count = w->blocks_count = w->proof_count = 0;
    if ((found = collect(w, &deletes)) != FINE) return found;
    if ((found = add_reads(w, deletes)) != FINE) return found;
    if ((found = chain(w, deletes)) != FINE) return found;
    if ((found = make_blocks(w)) != FINE) return found;
    if ((found = pairs(w)) != FINE) return found;
    return deletes ? sweep(w) : FINE;
}

/* Groups the operations by key: those of key k are order[start[k]] to order[start[k + 1] - 1]. */
static void by_key(const history *h, int32_t keys, int32_t *start, int32_t *order)
{
    memset(start, 0, (keys + 1) * sizeof *start);
    for (int64_t i = 0; i < h->count; i++)
        if (h->kind[i] != NOTHING) start[h->key[i] + 1]++;
    for (int32_t k = 0; k < keys; k++) start[k + 1] += start[k];
    for (int64_t i = 0; i < h->count; i++)
        if (h->kind[i] != NOTHING) order[start[h->key[i]]++] = (int32_t)i;
    memmove(start + 1, start, keys * sizeof *start);
    start[0] = 0;
}

/* Writes for each of `names` keys 0 (linearizable), 1 (not) or 2 (needs a search) to `verdict`, and up to MAX_PROOF
 * operations that matter to `proof` (-1 after the last). `start` and `order` are the grouping. Returns 0, or -1 without
 * memory. */
int32_t history_check(const history *h, int32_t names, int32_t *start, int32_t *order, uint8_t *verdict, int32_t *proof)
{
    by_key(h, names, start, order);
    int32_t most = 1;
    for (int32_t k = 0; k < names; k++)
        if (start[k + 1] - start[k] > most) most = start[k + 1] - start[k];
    work w = {.h = h};
    w.slot = malloc((names + 1) * sizeof *w.slot);
    w.stamp = malloc((names + 1) * sizeof *w.stamp);
    w.clusters = malloc((most + 1) * sizeof *w.clusters);
    w.blocks = malloc((most + 1) * sizeof *w.blocks);
    w.reach = malloc((most + 1) * sizeof *w.reach);
    w.reach_of = malloc((most + 1) * sizeof *w.reach_of);
    int enough = w.slot && w.stamp && w.clusters && w.blocks && w.reach && w.reach_of;
    if (enough) memset(w.stamp, -1, (names + 1) * sizeof *w.stamp);
    for (int32_t k = 0; enough && k < names; k++) {
        w.ops = order + start[k];
        w.count = start[k + 1] - start[k];
        w.key = k;
        w.proof = proof + (int64_t)MAX_PROOF * k;
        verdict[k] = FINE;
        if (w.count) verdict[k] = check_key(&w);
        for (int32_t i = w.proof_count; w.count && i < MAX_PROOF; i++) w.proof[i] = NONE;
    }
    free(w.slot); free(w.stamp); free(w.clusters); free(w.blocks); free(w.reach); free(w.reach_of);
    return enough ? 0 : -1;
}
