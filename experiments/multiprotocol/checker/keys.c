/* Checks a history key by key. */
#include <stdlib.h>
#include <string.h>

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
        if (w.count) verdict[k] = check_unique(&w);
        for (int32_t i = w.proof_count; w.count && i < MAX_PROOF; i++) w.proof[i] = NONE;
    }
    free(w.slot); free(w.stamp); free(w.clusters); free(w.blocks); free(w.reach); free(w.reach_of);
    return enough ? 0 : -1;
}
