/* Decides whether each key's history is linearizable where every value is written at most once, in O(n log n), after
 * Gibbons and Korach (SIAM J. Computing 26, 1997). The writes of null (deletes) may repeat.
 *
 * A cluster is a value: its write and its reads. Successful compare-and-sets chain clusters into blocks, which no
 * other write may interrupt. A block must be over the register from its earliest completion `first` to its latest
 * invocation `last` when first < last (it is busy then), and else fits at one instant of [last, first]. Blocks i and j
 * exclude each other exactly when first(i) < last(j) and first(j) < last(i). Reads of null between deletes are placed
 * by a sweep over time (nulls.c). */
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

int check_unique(work *w)
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
