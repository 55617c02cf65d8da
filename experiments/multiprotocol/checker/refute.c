/* Finds an operation that saw a value which was gone for sure: the one common violation that needs no search.
 *
 * `latest` is the write that was invoked last of those that completed before the operation was invoked. Every write that
 * completed before `latest` was invoked is hidden by it. So the operation is wrong when each write of the value that it
 * saw either is hidden, or was invoked after it had completed. */
#include <stdlib.h>

#include "search.h"

typedef struct { int64_t by, best; int32_t value, op; } mark; /* sorted by value and `by`; the greatest `best` so far */

static int by_value(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->by < y->by ? -1 : x->by > y->by;
}

static void sort(mark *marks, int32_t count)
{
    qsort(marks, count, sizeof *marks, by_value);
    for (int32_t i = 1; i < count; i++)
        if (marks[i].value == marks[i - 1].value && marks[i - 1].best >= marks[i].best)
            marks[i].best = marks[i - 1].best, marks[i].op = marks[i - 1].op;
}

/* The last mark of this value whose `by` is at most `most`, or NULL. */
static const mark *last(const mark *marks, int32_t count, int32_t value, int64_t most)
{
    int32_t low = 0, high = count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (marks[middle].value < value || (marks[middle].value == value && marks[middle].by <= most)) low = middle + 1;
        else high = middle;
    }
    return low && marks[low - 1].value == value ? &marks[low - 1] : NULL;
}

/* Returns an operation that saw what was gone, and in `hider` what hid it (-1: it was not there yet); -1 if there is none
 * (or no memory to look). The register first holds `first`. */
int32_t refute(const operation *ops, int32_t count, int32_t first, int64_t *hider)
{
    mark *writers = malloc((2 * (size_t)count + 1) * sizeof *writers), *done = writers + count;
    int32_t writers_count = 0, done_count = 0, found = -1;
    if (!writers) return -1;
    for (int32_t i = 0; i < count; i++) {
        if (ops[i].kind != WRITE && ops[i].kind != CAS) continue;
        int32_t written = ops[i].kind == CAS ? ops[i].set_to : ops[i].value;
        writers[writers_count++] = (mark){ops[i].invoked, ops[i].completed, written, i};
        if (ops[i].completed != NEVER) done[done_count++] = (mark){ops[i].completed, ops[i].invoked, 0, i};
    }
    sort(writers, writers_count);
    sort(done, done_count);
    for (int32_t i = 0; i < count && found < 0; i++) {
        if ((ops[i].kind != READ && ops[i].kind != CAS) || ops[i].completed == NEVER) continue;
        const mark *latest = last(done, done_count, 0, ops[i].invoked - 1);
        if (ops[i].value == first && !latest) continue;
        const mark *writer = last(writers, writers_count, ops[i].value, ops[i].completed);
        if (writer && (!latest || writer->best >= latest->best)) continue;
        *hider = latest ? latest->op : -1;
        found = i;
    }
    free(writers);
    return found;
}
