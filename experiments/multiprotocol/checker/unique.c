/* Decides whether each key's history is linearizable where every value is written at most once, in O(n log n), after
 * Gibbons and Korach (SIAM J. Computing 26, 1997). The writes of the initial value (null: deletes) may repeat.
 *
 * A cluster is a value: its write and its reads. Successful compare-and-sets chain clusters into blocks, which no
 * other write may interrupt. A block must be over the register from its earliest completion `first` to its latest
 * invocation `last` when first < last (it is busy then), and else fits at one instant of [last, first]. Blocks i and j
 * exclude each other exactly when first(i) < last(j) and first(j) < last(i). Reads of the initial value between writes of
 * it are placed by a sweep over time (nulls.c).
 *
 * Where other values repeat, or a compare-and-set failed, the same check of what is left without these still finds
 * violations: leave all writes and reads of repeated values out of a right order, and it is a right order of the rest.
 * What it finds nothing against is then for the search to decide. */
#include <stdlib.h>

#include "unique.h"

int violated(work *w, const int32_t *ops, int count)
{
    w->proof_count = 0;
    for (int i = 0; i < count && i < MAX_PROOF; i++)
        if (ops[i] >= 0) w->proof[w->proof_count++] = ops[i];
    return VIOLATION;
}

static int find(const work *w, int32_t value) { return w->stamp[value] == w->key ? w->slot[value] : NONE; }

static int32_t written(const history *h, int32_t op) { return h->kind[op] == CAS ? h->set_to[op] : h->value[op]; }

/* Notes that a value is written, and returns whether it was before. */
static int mark(work *w, int32_t value)
{
    int again = w->stamp[value] == w->key;
    w->stamp[value] = w->key;
    w->slot[value] = again ? REPEATED : UNPLACED;
    return again;
}

int role(const work *w, int32_t op)
{
    const history *h = w->h;
    int pending = h->completed[op] == NEVER, cas = h->kind[op] == CAS;
    if (h->kind[op] == READ) return READS;
    if (h->kind[op] != WRITE && !cas) return IGNORED;
    if (cas && h->value[op] == h->set_to[op]) return pending ? IGNORED : READS;
    if (written(h, op) == h->initial) return RESTORES;
    if (find(w, written(h, op)) != REPEATED) return WRITES;
    return cas && !pending ? READS : IGNORED; /* it saw the value that it expected */
}

static void add_cluster(work *w, int32_t value, int32_t op, int32_t expects)
{
    w->stamp[value] = w->key;
    w->slot[value] = w->clusters_count;
    cluster *c = &w->clusters[w->clusters_count++];
    *c = (cluster){.head = op, .expects = expects, .parent = NONE, .child = NONE, .first_op = op, .last_op = op};
    c->first = op == ALWAYS ? INT64_MIN : w->h->completed[op];
    c->last = op == ALWAYS ? INT64_MIN : w->h->invoked[op];
    c->needed = op == ALWAYS || c->first != NEVER;
}

/* Makes a cluster of each value that is written once. `restored` is whether the initial value is written. Returns FINE if
 * that tells the whole history, and SEARCH if something is left out. */
static int collect(work *w, int *restored)
{
    const history *h = w->h;
    int result = FINE;
    *restored = 0;
    for (int32_t i = 0; i < w->count; i++) {
        int32_t op = w->ops[i];
        int cas = h->kind[op] == CAS;
        if (h->kind[op] == FAILED_CAS) result = SEARCH;
        if ((h->kind[op] != WRITE && !cas) || (cas && h->value[op] == h->set_to[op])) continue;
        if (written(h, op) == h->initial) {
            *restored = 1;
            if (cas) result = SEARCH; /* what it expected is left out */
        } else if (mark(w, written(h, op))) result = SEARCH;
    }
    if (!*restored) add_cluster(w, h->initial, ALWAYS, NONE);
    for (int32_t i = 0; i < w->count; i++) {
        int32_t op = w->ops[i];
        if (role(w, op) != WRITES) continue;
        int expects_known = h->kind[op] == CAS && find(w, h->value[op]) != REPEATED;
        add_cluster(w, written(h, op), op, expects_known ? h->value[op] : NONE);
    }
    return result;
}

static int add_reads(work *w, int restored)
{
    const history *h = w->h;
    for (int32_t i = 0; i < w->count; i++) {
        int32_t op = w->ops[i];
        if (role(w, op) != READS || (restored && h->value[op] == h->initial)) continue;
        int at = find(w, h->value[op]);
        if (at == REPEATED) continue;
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
static int chain(work *w, int restored)
{
    for (int32_t start = 0; start < w->clusters_count; start++)
        for (int32_t at = start; at != NONE && w->clusters[at].needed && !w->clusters[at].visited;) {
            cluster *c = &w->clusters[at];
            c->visited = 1;
            if (c->expects == NONE || (restored && c->expects == w->h->initial)) break;
            int parent = find(w, c->expects);
            if (parent == NONE) return VIOLATED(w, c->head);
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
    int32_t in_blocks = 0, needed = 0;
    for (int32_t i = 0; i < w->clusters_count; i++) {
        cluster *c = &w->clusters[i];
        needed += c->needed;
        if (!c->needed || c->parent != NONE) continue;
        block b = {c->first, c->last, c->first_op, c->last_op, i, 0};
        b.on_initial = c->expects != NONE;
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

int check_unique(work *w)
{
    int restored, whole, found;
    w->clusters_count = w->blocks_count = w->proof_count = 0;
    whole = collect(w, &restored);
    if ((found = add_reads(w, restored)) != FINE) return found;
    if ((found = chain(w, restored)) != FINE) return found;
    if ((found = make_blocks(w)) != FINE) return found;
    if ((found = pairs(w)) != FINE) return found;
    if (restored && (found = sweep(w)) != FINE) return found;
    return whole;
}
