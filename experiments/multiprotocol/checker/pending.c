/* Leaves out operations of unknown outcome that cannot matter to whether a register's history is linearizable. */
#include <stdlib.h>
#include <string.h>

#include "search.h"

typedef struct { int32_t by, alike, op; int64_t invoked; } entry;

static int by_group(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->by != y->by) return x->by < y->by ? -1 : 1;
    if (x->alike != y->alike) return x->alike < y->alike ? -1 : 1;
    return x->invoked < y->invoked ? -1 : x->invoked > y->invoked;
}

static int32_t written(const operation *op) { return op->kind == CAS ? op->set_to : op->value; }

static int is_pending(const operation *op) { return op->completed == NEVER && (op->kind == WRITE || op->kind == CAS); }

/* Sorts the pending operations by what they write, or expect; `begin` says where those of each value begin. */
static int32_t collect(const operation *ops, int32_t count, int expected, entry *entries, int32_t *begin, int32_t values)
{
    int32_t n = 0;
    for (int32_t i = 0; i < count; i++)
        if (is_pending(&ops[i]) && (!expected || ops[i].kind == CAS))
            entries[n++] = (entry){expected ? ops[i].value : written(&ops[i]), ops[i].alike, i, ops[i].invoked};
    qsort(entries, n, sizeof *entries, by_group);
    for (int32_t v = 0, i = 0; v <= values; v++) {
        while (i < n && entries[i].by < v) i++;
        begin[v] = i;
    }
    return n;
}

/* A pending compare-and-set did not happen if nothing that can have happened writes what it expects; and if it writes what
 * it expects, it changes nothing. */
static void leave_out_impossible(operation *ops, int32_t count, int32_t first, entry *entries, int32_t *begin, int32_t *queue, uint8_t *possible, int32_t values)
{
    int32_t waiting = 0;
    for (int32_t i = 0; i < count; i++)
        if (is_pending(&ops[i]) && ops[i].kind == CAS && ops[i].value == ops[i].set_to) ops[i].kind = NOTHING;
    collect(ops, count, 1, entries, begin, values);
    memset(possible, 0, values);
    possible[first] = 1;
    for (int32_t i = 0; i < count; i++)
        if (ops[i].kind == WRITE || (ops[i].kind == CAS && !is_pending(&ops[i]))) possible[written(&ops[i])] = 1;
    for (int32_t v = 0; v < values; v++) if (possible[v]) queue[waiting++] = v;
    while (waiting) {
        int32_t v = queue[--waiting];
        for (int32_t i = begin[v]; i < begin[v + 1]; i++) {
            int32_t made = ops[entries[i].op].set_to;
            if (!possible[made]) possible[made] = 1, queue[waiting++] = made;
        }
    }
    for (int32_t i = 0; i < count; i++)
        if (is_pending(&ops[i]) && ops[i].kind == CAS && !possible[ops[i].value]) ops[i].kind = NOTHING;
}

/* Every pending write that matters is seen by an operation of its own, right after it. So of those that do the same, no
 * more matter than operations can see it, and these may be the ones that were invoked first. `observers` counts the
 * operations that may see each value; `failing` more see any value but one. */
static void leave_out_surplus(operation *ops, int32_t count, int32_t *observers, int32_t failing, entry *entries, int32_t *begin, int32_t *queue, uint8_t *queued, int32_t values, configurations *clock)
{
    int32_t waiting = 0;
    collect(ops, count, 0, entries, begin, values);
    memset(queued, 1, values);
    for (int32_t v = 0; v < values; v++) queue[waiting++] = v;
    while (waiting) {
        int32_t v = queue[--waiting];
        int64_t most = (int64_t)observers[v] + failing, alike = 0;
        queued[v] = 0;
        if (overdue(clock, begin[v + 1] - begin[v])) return; /* a value may come again for each that expects it */
        for (int32_t i = begin[v]; i < begin[v + 1]; i++) {
            operation *op = &ops[entries[i].op];
            alike = i > begin[v] && entries[i].alike == entries[i - 1].alike ? alike + 1 : 1;
            if (alike <= most || op->kind == NOTHING) continue;
            if (op->kind == CAS) {
                observers[op->value]--;
                if (!queued[op->value]) queued[op->value] = 1, queue[waiting++] = op->value;
            }
            op->kind = NOTHING;
        }
    }
}

/* Counts in `observers` what may see each of the `values`, but for what is left out: less when `clock` is overdue. Returns 0
 * without memory. */
int leave_out_pending(operation *ops, int32_t count, int32_t first, int32_t values, int32_t *observers, int32_t *failing, configurations *clock)
{
    entry *entries = malloc(((size_t)count + 1) * sizeof *entries);
    int32_t *begin = malloc(2 * ((size_t)values + 1) * sizeof *begin), *queue = begin + values + 1;
    uint8_t *flags = malloc((size_t)values + 1);
    int enough = entries && begin && flags;
    if (enough) leave_out_impossible(ops, count, first, entries, begin, queue, flags, values);
    *failing = 0;
    for (int32_t i = 0; i < count; i++) {
        if (ops[i].kind != WRITE && ops[i].kind != NOTHING) observers[ops[i].value]++;
        *failing += ops[i].kind == FAILED_CAS;
    }
    if (enough) leave_out_surplus(ops, count, observers, *failing, entries, begin, queue, flags, values, clock);
    free(entries); free(begin); free(flags);
    return enough;
}
