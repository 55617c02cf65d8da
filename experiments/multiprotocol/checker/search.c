/* Decides whether one register's history is linearizable, whatever it holds: the search that search.py describes,
 * compiled. */
#include <stdlib.h>
#include <string.h>

#include "search.h"
#include "unique.h"

enum { UNKNOWN = SEARCH };
#define PASSES 4 /* with a beam, wider ones, and none */
#define WIDER 16
#define MEMORY (1ll << 29) /* bytes of configurations */
#define LARGE 100000       /* operations that take a while to sort */
#define PREPARE_S 5e-7     /* at least so many seconds for each of them, before anything is searched */

typedef struct {
    const operation *ops;
    int32_t words, unseen;  /* words of a set of operations; the value that nobody will see any more */
    int32_t *observers, failing_left, *at_slot;
    uint64_t *reads, *failing, *expecting; /* by value: sets of the open reads of it, failing and other cas that expect it */
    uint64_t *all_failing, *writes;
    int32_t *stamp, *best, *tried, generation; /* by what operations do alike, for one look at what is usable */
    uint8_t *helps;
    configurations now;
    int64_t most, beam;
    int cut, out_of_bounds;
} search;

static int meet(const uint64_t *a, const uint64_t *b, int32_t words)
{
    for (int32_t i = 0; i < words; i++) if (a[i] & b[i]) return 1;
    return 0;
}

static int32_t seen(const search *s, int32_t value) { return s->observers[value] ? value : s->unseen; }

/* ---- one change of the value ---- */

/* The value is now `value`: what only reads it, or fails on it, is done. */
static void hold(const search *s, uint64_t *c, int32_t value)
{
    uint64_t *owed = c + 1;
    const uint64_t *reads = s->reads + (int64_t)value * s->words, *failing = s->failing + (int64_t)value * s->words;
    for (int32_t i = 0; i < s->words; i++) owed[i] &= ~reads[i] & ~(s->all_failing[i] & ~failing[i]);
    c[0] = seen(s, value);
}

/* Whether it can help that the value is `written` for a moment. */
static int worthwhile(const search *s, const uint64_t *c, int32_t written)
{
    const uint64_t *owed = c + 1, *usable = owed + s->words;
    int64_t row = (int64_t)written * s->words;
    return meet(usable, s->expecting + row, s->words) || meet(owed, s->reads + row, s->words)
        || ((uint64_t)written != c[0] && meet(owed, s->all_failing, s->words));
}

static void use(search *s, int64_t from, int32_t slot)
{
    const operation *op = &s->ops[s->at_slot[slot]];
    uint64_t *made = blank(&s->now);
    if (!made) { s->out_of_bounds = 1; return; }
    memcpy(made, at(&s->now, from), s->now.stride * sizeof *made);
    if (overdue(&s->now, 2 * (int64_t)s->now.stride)) s->out_of_bounds = 1;
    uint64_t *owed = made + 1, *usable = owed + s->words;
    drop(owed, slot);
    drop(usable, slot);
    if (op->kind == WRITE) /* every other open write may have gone right before it */
        for (int32_t i = 0; i < s->words; i++) owed[i] &= ~s->writes[i];
    hold(s, made, op->kind == CAS ? op->set_to : op->value);
    keep(&s->now);
}

/* Whether it can help at all to use an operation that does what `op` does. */
static int may_help(const search *s, const uint64_t *c, const operation *op, const operation *wanted)
{
    if (op->kind == CAS) return (uint64_t)op->value == c[0] && worthwhile(s, c, op->set_to);
    return (wanted->kind == WRITE && wanted->value == op->value) || worthwhile(s, c, op->value);
}

/* Adds the configurations one change away from number `from` that could help to linearize what is at slot `goal`. Of the
 * operations that do the same, it uses the one that completes first. */
static void follow(search *s, int64_t from, int32_t goal)
{
    int32_t tried = 0;
    const operation *wanted = &s->ops[s->at_slot[goal]];
    const uint64_t *c = at(&s->now, from), *owed = c + 1, *usable = owed + s->words;
    s->generation++;
    for (int32_t i = 0; i < s->words; i++) {
        for (uint64_t left = usable[i]; left; left &= left - 1) {
            int32_t slot = 64 * i + __builtin_ctzll(left);
            const operation *op = &s->ops[s->at_slot[slot]];
            if (s->stamp[op->alike] != s->generation) {
                s->stamp[op->alike] = s->generation;
                s->best[op->alike] = -1;
                s->helps[op->alike] = (uint8_t)may_help(s, c, op, wanted);
                overdue(&s->now, 3 * (int64_t)s->words);
            }
            if (!s->helps[op->alike] && !(op->kind == CAS && (uint64_t)op->value == c[0] && has(owed, slot))) continue;
            int32_t *best = &s->best[op->alike];
            if (*best < 0) s->tried[tried++] = op->alike;
            if (*best < 0 || op->completed < s->ops[s->at_slot[*best]].completed) *best = slot;
        }
        if (overdue(&s->now, 1 + 4 * __builtin_popcountll(usable[i]))) { s->out_of_bounds = 1; return; }
    }
    for (int32_t i = 0; i < tried && !s->out_of_bounds; i++) use(s, from, s->best[s->tried[i]]);
}

/* ---- going through the history ---- */

static void opens(search *s, int32_t number)
{
    const operation *op = &s->ops[number];
    int32_t slot = op->slot;
    int64_t row = (int64_t)op->value * s->words;
    s->at_slot[slot] = number;
    if (op->kind == READ) add(s->reads + row, slot);
    if (op->kind == CAS) add(s->expecting + row, slot);
    if (op->kind == FAILED_CAS) add(s->failing + row, slot), add(s->all_failing, slot);
    if (op->kind == WRITE) add(s->writes, slot);
    for (int64_t i = 0; i < s->now.count && !overdue(&s->now, 4); i++) {
        uint64_t *c = at(&s->now, i), *owed = c + 1, *usable = owed + s->words;
        int holds = c[0] == (uint64_t)op->value;
        int done = (op->kind == READ && holds) || (op->kind == FAILED_CAS && !holds);
        if (op->completed != NEVER && !done) add(owed, slot);
        if (op->kind == WRITE || op->kind == CAS) add(usable, slot);
    }
}

static void closes(search *s, int32_t number)
{
    const operation *op = &s->ops[number];
    int64_t row = (int64_t)op->value * s->words;
    if (op->kind != WRITE) s->observers[op->value]--;
    if (op->kind == READ) drop(s->reads + row, op->slot);
    if (op->kind == CAS) drop(s->expecting + row, op->slot);
    if (op->kind == FAILED_CAS) drop(s->failing + row, op->slot), drop(s->all_failing, op->slot), s->failing_left--;
    if (op->kind == WRITE) drop(s->writes, op->slot);
}

/* One that could still use the operation, and need not, uses it now or never. */
static int must_decide(const uint64_t *c, int32_t words, int32_t slot, int last_chance)
{
    return has(c + 1, slot) || (last_chance && has(c + 1 + words, slot));
}

static void completes(search *s, int32_t number)
{
    const operation *op = &s->ops[number];
    configurations *c = &s->now;
    int writes = op->kind == WRITE || op->kind == CAS;
    int last_chance = writes && (s->observers[op->kind == CAS ? op->set_to : op->value] || s->failing_left);
    int tabulated = 0;
    for (int64_t i = 0; i < c->count && !s->out_of_bounds; i++) {
        if (!must_decide(at(c, i), s->words, op->slot, last_chance)) continue;
        if (!tabulated && !(tabulated = tabulate(c, c->count) && !overdue(c, c->count * c->stride))) { s->out_of_bounds = 1; return; }
        follow(s, i, op->slot);
        if (c->count > s->most || overdue(c, c->stride)) s->out_of_bounds = 1;
        if (s->beam && c->count > 20 * s->beam) { s->cut = 1; break; }
    }
    closes(s, number);
    int64_t kept = 0;
    for (int64_t i = 0; i < c->count; i++) {
        uint64_t *one = at(c, i);
        if (has(one + 1, op->slot)) continue;
        drop(one + 1 + s->words, op->slot);
        if (one[0] != (uint64_t)s->unseen) one[0] = seen(s, (int32_t)one[0]);
        if (kept++ != i) memcpy(at(c, kept - 1), one, s->now.stride * sizeof *one);
        if (overdue(c, kept == i + 1 ? 4 : c->stride)) break;
    }
    c->count = kept;
    if (s->out_of_bounds || c->late || !thin(c, s->beam, &s->cut)) s->out_of_bounds = 1;
}

/* Goes through the events. Returns -1, or the operation at whose completion nothing is left. */
static int32_t go_through(search *s, const event *events, int64_t count)
{
    for (int64_t e = 0; e < count && !s->out_of_bounds; e++) {
        if (overdue(&s->now, 1)) { s->out_of_bounds = 1; break; }
        if (!events[e].completes) { opens(s, events[e].op); continue; }
        completes(s, events[e].op);
        if (!s->now.count && !s->out_of_bounds) return events[e].op;
    }
    return -1;
}

static int begin(search *s, int32_t first)
{
    s->now.count = 0;
    s->cut = s->generation = 0;
    if (!make_room(&s->now, 1)) return 0;
    memset(s->now.words, 0, s->now.stride * sizeof *s->now.words);
    s->now.words[0] = seen(s, first);
    s->now.count = 1;
    return 1;
}

/* ---- the whole ---- */

/* Checks what values that are written once tell (unique.c), with the values as the numbers in `ops`. */
static int check_values(const history *h, const operation *ops, int32_t values, int32_t first, int32_t *proof)
{
    history renamed = *h;
    renamed.initial = first;
    renamed.value = malloc(2 * ((size_t)h->count + 1) * sizeof *renamed.value);
    if (!renamed.value) return SEARCH;
    renamed.set_to = renamed.value + h->count;
    for (int64_t i = 0; i < h->count; i++) renamed.value[i] = ops[i].value, renamed.set_to[i] = ops[i].set_to;
    int found = check_alone(&renamed, values, proof);
    free(renamed.value);
    return found;
}

static int too_late(int64_t count, double deadline) { return count > LARGE && seconds_now() > deadline; }

/* Goes through the history of `ops` with ever more configurations, at first with `beam`. */
static int passes(search *s, operation *ops, int32_t n, int32_t values, int32_t alike, int32_t first, int64_t beam, int32_t *failed)
{
    int result = UNKNOWN;
    int32_t failing;
    int64_t events_count;
    event *events = malloc((2 * (size_t)n + 1) * sizeof *events);
    int32_t *numbers = calloc((size_t)n + 3 * (size_t)alike + 1, sizeof *numbers);
    int32_t *counts = calloc(2 * ((size_t)values + 1), sizeof *counts);
    uint64_t *sets = NULL;
    s->helps = malloc((size_t)alike + 1);
    if (!events || !numbers || !counts || !s->helps) goto done;
    if (!leave_out_pending(ops, n, first, values, counts, &failing, &s->now) || s->now.late || too_late(n, s->now.deadline)) goto done;
    int32_t slots = schedule(ops, n, events, &events_count, numbers);
    s->ops = ops;
    s->words = s->now.set_words = slots / 64 + 1;
    s->now.stride = 1 + 2 * s->words;
    if (s->most > MEMORY / (32 * s->now.stride + 64)) s->most = MEMORY / (32 * s->now.stride + 64);
    s->unseen = values;
    s->at_slot = numbers;
    s->stamp = numbers + n, s->best = s->stamp + alike, s->tried = s->best + alike;
    s->observers = counts + values + 1;
    size_t row = s->words, rows = (size_t)values + 1, size = (3 * rows + 2) * row;
    if (size > (1ull << 27) || !(sets = calloc(size, sizeof *sets))) goto done; /* 1 GB */
    s->reads = sets, s->failing = sets + rows * row, s->expecting = s->failing + rows * row;
    s->all_failing = s->expecting + rows * row, s->writes = s->all_failing + row;
    for (int pass = 0; pass < PASSES && !overdue(&s->now, (int64_t)size); pass++) {
        if (pass) memset(sets, 0, size * sizeof *sets);
        memset(s->stamp, 0, alike * sizeof *s->stamp);
        memcpy(s->observers, counts, ((size_t)values + 1) * sizeof *counts);
        s->failing_left = failing;
        s->beam = pass == PASSES - 1 ? 0 : beam;
        beam *= WIDER;
        if (!begin(s, first)) break;
        *failed = go_through(s, events, events_count);
        if (s->out_of_bounds) break;
        result = *failed < 0 ? FINE : VIOLATION;
        if (result == FINE || !s->cut) break;
        result = UNKNOWN;
    }
done:
    free(events); free(numbers); free(counts); free(sets); free(s->helps);
    discard(&s->now);
    return result;
}

/* Whether the history `h`, all on one register, is linearizable: FINE, VIOLATION, or UNKNOWN when that would take more
 * than so many seconds, or configurations at one time. For a violation, `proof` gets up to MAX_PROOF operations that
 * matter (NONE after the last); it is `certain` once the first of them completes. Where every value is written once,
 * nothing is searched. A first pass keeps at most `beam` configurations, later ones more. */
int32_t history_search(const history *h, double seconds, int64_t most, int64_t beam, int32_t *proof, int32_t *certain)
{
    int32_t n = (int32_t)h->count, first = 0, failed = NONE, values, alike, result = UNKNOWN;
    int64_t hider = NONE;
    search s = {.most = most, .now.deadline = seconds_now() + seconds};
    operation *ops = malloc(((size_t)n + 1) * sizeof *ops);
    for (int i = 0; i < MAX_PROOF; i++) proof[i] = NONE;
    *certain = 0;
    if (!ops || (n > LARGE && PREPARE_S * n > seconds)) goto done;
    if ((values = number_values(h, ops, &first)) < 0 || too_late(n, s.now.deadline)) goto done;
    if ((result = check_values(h, ops, values, first, proof)) != SEARCH || too_late(n, s.now.deadline)) goto done;
    if ((alike = number_alike(ops, n)) < 0 || too_late(n, s.now.deadline)) goto done;
    failed = refute(ops, n, first, &hider);
    result = failed >= 0 ? VIOLATION : passes(&s, ops, n, values, alike, first, beam, &failed);
    if (result == VIOLATION) proof[0] = failed, proof[1] = (int32_t)hider, *certain = 1;
done:
    free(ops);
    return result;
}
