/* Readies a register's history for the search: values and slots as small numbers, and the events in order. */
#include <stdlib.h>
#include <string.h>

#include "search.h"

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

static int32_t place_of(const int32_t *sorted, int32_t count, int32_t value)
{
    int32_t low = 0, high = count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (sorted[middle] < value) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Numbers the values that occur from 0. Returns how many there are, or -1. */
int32_t number_values(const history *h, operation *ops, int32_t *first)
{
    int32_t *values = malloc((2 * h->count + 1) * sizeof *values), distinct = 1;
    if (!values) return -1;
    memcpy(values, h->value, h->count * sizeof *values);
    memcpy(values + h->count, h->set_to, h->count * sizeof *values);
    values[2 * h->count] = h->initial;
    qsort(values, 2 * h->count + 1, sizeof *values, by_number);
    for (int64_t i = 1; i <= 2 * h->count; i++) if (values[i] != values[distinct - 1]) values[distinct++] = values[i];
    for (int64_t i = 0; i < h->count; i++)
        ops[i] = (operation){
            .kind = h->kind[i], .value = place_of(values, distinct, h->value[i]), .set_to = place_of(values, distinct, h->set_to[i]),
            .slot = -1, .invoked = h->invoked[i], .completed = h->completed[i],
        };
    *first = place_of(values, distinct, h->initial);
    free(values);
    return distinct;
}

typedef struct { int32_t kind, value, set_to, op; } deed;

static int by_deed(const void *a, const void *b)
{
    const deed *x = a, *y = b;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->set_to < y->set_to ? -1 : x->set_to > y->set_to;
}

int32_t number_alike(operation *ops, int32_t count)
{
    deed *deeds = malloc((count + 1) * sizeof *deeds);
    int32_t distinct = 0;
    if (!deeds) return -1;
    for (int32_t i = 0; i < count; i++) deeds[i] = (deed){ops[i].kind, ops[i].value, ops[i].set_to, i};
    qsort(deeds, count, sizeof *deeds, by_deed);
    for (int32_t i = 0; i < count; i++) {
        distinct += i == 0 || by_deed(&deeds[i - 1], &deeds[i]) != 0;
        ops[deeds[i].op].alike = distinct - 1;
    }
    free(deeds);
    return distinct;
}

static int by_time(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    if (x->completes != y->completes) return x->completes - y->completes; /* at a tie they overlap */
    return x->op < y->op ? -1 : x->op > y->op;
}

/* Orders the events, and gives each operation a slot while it is open. Returns the number of slots. */
int32_t schedule(operation *ops, int32_t count, event *events, int64_t *events_count, int32_t *free_slots)
{
    int32_t slots = 0, free_count = 0;
    *events_count = 0;
    for (int32_t i = 0; i < count; i++) {
        if (ops[i].kind == NOTHING) continue;
        events[(*events_count)++] = (event){ops[i].invoked, 0, i};
        if (ops[i].completed != NEVER) events[(*events_count)++] = (event){ops[i].completed, 1, i};
    }
    qsort(events, *events_count, sizeof *events, by_time);
    for (int64_t e = 0; e < *events_count; e++) {
        operation *op = &ops[events[e].op];
        if (events[e].completes) free_slots[free_count++] = op->slot;
        else op->slot = free_count ? free_slots[--free_count] : slots++;
    }
    return slots;
}
