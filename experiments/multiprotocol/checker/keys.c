/* Checks a history key by key. */
#include <stdlib.h>
#include <string.h>

#include "search.h"
#include "unique.h"

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

static int allocate(work *w, int32_t values, int32_t most)
{
    w->slot = malloc((values + 1) * sizeof *w->slot);
    w->stamp = malloc((values + 1) * sizeof *w->stamp);
    w->clusters = malloc((most + 1) * sizeof *w->clusters);
    w->blocks = malloc((most + 1) * sizeof *w->blocks);
    w->reach = malloc((most + 1) * sizeof *w->reach);
    w->reach_of = malloc((most + 1) * sizeof *w->reach_of);
    if (!w->slot || !w->stamp || !w->clusters || !w->blocks || !w->reach || !w->reach_of) return 0;
    memset(w->stamp, -1, (values + 1) * sizeof *w->stamp);
    return 1;
}

static void free_work(work *w)
{
    free(w->slot); free(w->stamp); free(w->clusters); free(w->blocks); free(w->reach); free(w->reach_of);
}

/* Checks operations of one key. Returns FINE, VIOLATION (with a proof, NONE after its last), or SEARCH. */
static int check_key(work *w, int32_t key, const int32_t *ops, int32_t count, int32_t *proof)
{
    w->key = key;
    w->ops = ops;
    w->count = count;
    w->proof = proof;
    int found = check_unique(w);
    for (int32_t i = w->proof_count; i < MAX_PROOF; i++) proof[i] = NONE;
    return found;
}

/* The same for a history that is all on one key, with values numbered below `values`: SEARCH without memory, too. */
int check_alone(const history *h, int32_t values, int32_t *proof)
{
    work w = {.h = h};
    int32_t *ops = malloc((h->count + 1) * sizeof *ops);
    int found = SEARCH;
    if (ops && allocate(&w, values, (int32_t)h->count)) {
        for (int32_t i = 0; i < h->count; i++) ops[i] = i;
        found = check_key(&w, 0, ops, (int32_t)h->count, proof);
    }
    free_work(&w);
    free(ops);
    return found;
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
    int enough = allocate(&w, names, most);
    for (int32_t k = 0; enough && k < names; k++) {
        int32_t count = start[k + 1] - start[k];
        verdict[k] = count ? check_key(&w, k, order + start[k], count, proof + (int64_t)MAX_PROOF * k) : FINE;
    }
    free_work(&w);
    return enough ? 0 : -1;
}

/* Searches (history_search) for each of `count` keys in turn, whose operations are grouped by `start` and `order` (keys.c); a proof names
 * operations of `h`. No key gets more than its share of the seconds that are left, nor more than `most_each`; the rest stays
 * unknown when none are left. Returns 0, or -1 without memory. */
int32_t history_search_keys(
    const history *h, const int32_t *start, const int32_t *order, const int32_t *keys, int32_t count, double seconds,
    double most_each, int64_t most, int64_t beam, uint8_t *verdict, int32_t *proof, int32_t *certain)
{
    double deadline = seconds_now() + seconds;
    size_t longest = (size_t)h->count + 1;
    history one = {.initial = h->initial};
    one.kind = malloc(longest);
    one.value = malloc(2 * longest * sizeof *one.value);
    one.invoked = malloc(2 * longest * sizeof *one.invoked);
    int enough = one.kind && one.value && one.invoked;
    if (enough) one.set_to = one.value + longest, one.completed = one.invoked + longest;
    for (int32_t k = 0; enough && k < count; k++) {
        const int32_t *ops = order + start[keys[k]];
        int32_t *matter = proof + (int64_t)MAX_PROOF * k;
        one.count = start[keys[k] + 1] - start[keys[k]];
        for (int64_t i = 0; i < one.count; i++) {
            one.kind[i] = h->kind[ops[i]], one.value[i] = h->value[ops[i]], one.set_to[i] = h->set_to[ops[i]];
            one.invoked[i] = h->invoked[ops[i]], one.completed[i] = h->completed[ops[i]];
        }
        double left = deadline - seconds_now(), share = left / (count - k);
        verdict[k] = SEARCH, certain[k] = 0;
        for (int i = 0; i < MAX_PROOF; i++) matter[i] = NONE;
        if (left <= 0) continue;
        verdict[k] = (uint8_t)history_search(&one, share < most_each ? share : most_each, most, beam, matter, &certain[k]);
        for (int i = 0; i < MAX_PROOF && matter[i] != NONE; i++) matter[i] = ops[matter[i]];
    }
    free(one.kind); free(one.value); free(one.invoked);
    return enough ? 0 : -1;
}
