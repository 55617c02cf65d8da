/* Decides whether one register's history is linearizable, whatever it holds: the search that search.py describes, and
 * word for word does, compiled. */
#define _POSIX_C_SOURCE 199309L
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "history.h"

enum { FINE, VIOLATION, UNKNOWN };
#define COMPARED 64 /* configurations that a new one is compared with */
#define PASSES 3    /* with a beam, a wider one, and none */
#define WIDER 32

typedef struct {
    uint8_t kind;
    int32_t value, set_to; /* numbered from 0 within this history */
    int32_t slot, alike;   /* its bit while it is open; operations that do the same have the same `alike` */
    int64_t invoked, completed;
} operation;

typedef struct { int64_t at; int32_t completes, op; } event;

/* Configurations, each of `stride` words: the value held, what is owed, what is usable. */
typedef struct {
    uint64_t *words;
    int64_t count, room;
    int32_t *table; /* 1 + index, by hash */
    uint64_t mask;
} configurations;

typedef struct {
    const operation *ops;
    int32_t words, stride, unseen; /* words of a set of bits, and of a configuration; the value that nobody will see */
    int32_t *observers, failing_left, *at_slot;
    uint64_t *reads, *failing, *expecting; /* by value: sets of the open reads of it, failing and other cas that expect it */
    uint64_t *all_failing, *writes;
    int32_t *stamp, *best, *tried, generation;
    configurations now, next;
    int64_t most, beam, *order, *burden;
    double deadline;
    int cut, out_of_bounds;
    uint32_t steps;
} search;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static int has(const uint64_t *set, int32_t slot) { return set[slot >> 6] >> (slot & 63) & 1; }
static void add(uint64_t *set, int32_t slot) { set[slot >> 6] |= 1ull << (slot & 63); }
static void drop(uint64_t *set, int32_t slot) { set[slot >> 6] &= ~(1ull << (slot & 63)); }

static int meet(const uint64_t *a, const uint64_t *b, int32_t words)
{
    for (int32_t i = 0; i < words; i++) if (a[i] & b[i]) return 1;
    return 0;
}

static uint64_t *at(const search *s, const configurations *c, int64_t i) { return c->words + i * s->stride; }
static int32_t seen(const search *s, int32_t value) { return s->observers[value] ? value : s->unseen; }

/* ---- sets of configurations ---- */

static uint64_t hash(const uint64_t *words, int32_t count)
{
    uint64_t h = 0x9E3779B97F4A7C15ull;
    for (int32_t i = 0; i < count; i++) {
        h = (h ^ words[i]) * 0xD6E8FEB86659FD93ull;
        h ^= h >> 32;
    }
    return h;
}

static int enter_table(const search *s, configurations *c, int64_t i)
{
    const uint64_t *words = at(s, c, i);
    uint64_t place = hash(words, s->stride) & c->mask;
    for (; c->table[place]; place = (place + 1) & c->mask)
        if (!memcmp(at(s, c, c->table[place] - 1), words, s->stride * sizeof *words)) return 0;
    c->table[place] = (int32_t)i + 1;
    return 1;
}

/* Makes the table for at least `count` configurations, and enters those there are. */
static int tabulate(const search *s, configurations *c, int64_t count)
{
    uint64_t mask = 31;
    while (mask < 3 * (uint64_t)count) mask = 2 * mask + 1;
    int32_t *table = realloc(c->table, (mask + 1) * sizeof *table);
    if (!table) return 0;
    memset(table, 0, (mask + 1) * sizeof *table);
    c->table = table;
    c->mask = mask;
    for (int64_t i = 0; i < c->count; i++) enter_table(s, c, i);
    return 1;
}

static int make_room(const search *s, configurations *c, int64_t count)
{
    if (count <= c->room) return 1;
    int64_t room = 2 * count + 64;
    uint64_t *words = realloc(c->words, room * s->stride * sizeof *words);
    if (!words) return 0;
    c->words = words;
    c->room = room;
    return 1;
}

/* The place for one more, to be filled and then kept (`keep`) or not. */
static uint64_t *blank(search *s, configurations *c)
{
    if (!make_room(s, c, c->count + 1) || (2 * (uint64_t)c->count >= c->mask && !tabulate(s, c, 2 * c->count))) s->out_of_bounds = 1;
    return s->out_of_bounds ? NULL : at(s, c, c->count);
}

static void keep(search *s, configurations *c) { c->count += enter_table(s, c, c->count); }

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
    uint64_t *made = blank(s, &s->now);
    if (!made) return;
    memcpy(made, at(s, &s->now, from), s->stride * sizeof *made);
    uint64_t *owed = made + 1, *usable = owed + s->words;
    drop(owed, slot);
    drop(usable, slot);
    if (op->kind == WRITE) /* every other open write may have gone right before it */
        for (int32_t i = 0; i < s->words; i++) owed[i] &= ~s->writes[i];
    hold(s, made, op->kind == CAS ? op->set_to : op->value);
    keep(s, &s->now);
}

/* Adds the configurations one change away from number `from` that could help to linearize what is at slot `goal`. */
static void follow(search *s, int64_t from, int32_t goal)
{
    int32_t tried = 0;
    const operation *wanted = &s->ops[s->at_slot[goal]];
    const uint64_t *c = at(s, &s->now, from), *owed = c + 1, *usable = owed + s->words;
    s->generation++;
    for (int32_t i = 0; i < s->words; i++)
        for (uint64_t left = usable[i]; left; left &= left - 1) {
            int32_t slot = 64 * i + __builtin_ctzll(left);
            const operation *op = &s->ops[s->at_slot[slot]];
            int helps;
            if (op->kind == CAS) helps = (uint64_t)op->value == c[0] && (has(owed, slot) || worthwhile(s, c, op->set_to));
            else helps = slot == goal || (wanted->kind == WRITE && wanted->value == op->value) || worthwhile(s, c, op->value);
            if (!helps) continue;
            if (s->stamp[op->alike] != s->generation) {
                s->stamp[op->alike] = s->generation;
                s->best[op->alike] = slot;
                s->tried[tried++] = op->alike;
            } else if (op->completed < s->ops[s->at_slot[s->best[op->alike]]].completed) s->best[op->alike] = slot;
        }
    for (int32_t i = 0; i < tried && !s->out_of_bounds; i++) use(s, from, s->best[s->tried[i]]);
}

/* ---- keeping only what matters ---- */

static int64_t burden(const search *s, const uint64_t *c)
{
    int64_t b = 0;
    for (int32_t i = 1; i <= s->words; i++) b += __builtin_popcountll(c[i]) - __builtin_popcountll(c[i + s->words]);
    return b;
}

static int superfluous(const search *s, const uint64_t *other, const uint64_t *c)
{
    if (other[0] != c[0]) return 0;
    const uint64_t *o = other + 1, *ou = o + s->words, *w = c + 1, *wu = w + s->words;
    for (int32_t i = 0; i < s->words; i++) if (o[i] & ~w[i] || wu[i] & ~ou[i]) return 0;
    return 1;
}

static const int64_t *sorting; /* burdens; the checker has one thread */
static int by_burden(const void *a, const void *b)
{
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    return sorting[i] != sorting[j] ? (sorting[i] < sorting[j] ? -1 : 1) : i < j ? -1 : i > j;
}

/* Drops the configurations that another one makes superfluous, and those beyond the beam. */
static void thin(search *s)
{
    configurations *c = &s->now, *to = &s->next;
    if (c->count < 2) return;
    int64_t *more = realloc(s->order, 2 * c->count * sizeof *more);
    if (!more || !make_room(s, to, c->count)) { s->out_of_bounds = 1; if (more) s->order = more; return; }
    s->order = more;
    s->burden = more + c->count;
    for (int64_t i = 0; i < c->count; i++) s->order[i] = i, s->burden[i] = burden(s, at(s, c, i));
    sorting = s->burden;
    qsort(s->order, c->count, sizeof *s->order, by_burden);
    to->count = 0;
    for (int64_t n = 0; n < c->count && !(s->beam && to->count == s->beam); n++) {
        const uint64_t *one = at(s, c, s->order[n]);
        int64_t compared = 0, i = 0;
        for (; i < to->count && compared < COMPARED; i++) {
            const uint64_t *other = at(s, to, i);
            compared += other[0] == one[0];
            if (superfluous(s, other, one)) { compared = -1; break; }
        }
        if (compared < 0) continue;
        memcpy(at(s, to, to->count++), one, s->stride * sizeof *one);
        if (s->beam && to->count == s->beam && n + 1 < c->count) s->cut = 1;
    }
    configurations old = *c;
    *c = *to;
    *to = old;
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
    for (int64_t i = 0; i < s->now.count; i++) {
        uint64_t *c = at(s, &s->now, i), *owed = c + 1, *usable = owed + s->words;
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
        if (!must_decide(at(s, c, i), s->words, op->slot, last_chance)) continue;
        if (!tabulated && !(tabulated = tabulate(s, c, c->count))) { s->out_of_bounds = 1; return; }
        follow(s, i, op->slot);
        if (c->count > s->most || (++s->steps % 256 == 0 && seconds_now() > s->deadline)) s->out_of_bounds = 1;
        if (s->beam && c->count > 20 * s->beam) { s->cut = 1; break; }
    }
    closes(s, number);
    int64_t kept = 0;
    for (int64_t i = 0; i < c->count; i++) {
        uint64_t *one = at(s, c, i);
        if (has(one + 1, op->slot)) continue;
        drop(one + 1 + s->words, op->slot);
        if (one[0] != (uint64_t)s->unseen) one[0] = seen(s, (int32_t)one[0]);
        if (kept++ != i) memcpy(at(s, c, kept - 1), one, s->stride * sizeof *one);
    }
    c->count = kept;
    thin(s);
}

/* Goes through the events. Returns -1, or the operation at whose completion nothing is left. */
static int32_t go_through(search *s, const event *events, int64_t count)
{
    for (int64_t e = 0; e < count && !s->out_of_bounds; e++) {
        if (!events[e].completes) { opens(s, events[e].op); continue; }
        completes(s, events[e].op);
        if (!s->now.count && !s->out_of_bounds) return events[e].op;
    }
    return -1;
}

/* ---- preparing ---- */

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
static int32_t number_values(const history *h, operation *ops, int32_t initial, int32_t *first)
{
    int32_t *values = malloc((2 * h->count + 1) * sizeof *values), distinct = 1;
    if (!values) return -1;
    memcpy(values, h->value, h->count * sizeof *values);
    memcpy(values + h->count, h->set_to, h->count * sizeof *values);
    values[2 * h->count] = initial;
    qsort(values, 2 * h->count + 1, sizeof *values, by_number);
    for (int64_t i = 1; i <= 2 * h->count; i++) if (values[i] != values[distinct - 1]) values[distinct++] = values[i];
    for (int64_t i = 0; i < h->count; i++)
        ops[i] = (operation){
            .kind = h->kind[i], .value = place_of(values, distinct, h->value[i]), .set_to = place_of(values, distinct, h->set_to[i]),
            .slot = -1, .invoked = h->invoked[i], .completed = h->completed[i],
        };
    *first = place_of(values, distinct, initial);
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

static int32_t number_alike(operation *ops, int32_t count)
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

/* Leaves out writes of unknown outcome that nothing can have seen (`observers` counts what may see each value). */
static void leave_out_unseen(operation *ops, int32_t count, int32_t *observers)
{
    for (int changed = 1; changed;) {
        changed = 0;
        for (int32_t i = count - 1; i >= 0; i--) {
            operation *op = &ops[i];
            if (op->completed != NEVER || op->kind == NOTHING) continue;
            int32_t written = op->kind == CAS ? op->set_to : op->value;
            if (observers[written] - (op->kind == CAS && op->value == written)) continue;
            if (op->kind == CAS) observers[op->value]--, changed = 1;
            op->kind = NOTHING;
        }
    }
}

/* Orders the events, and gives each operation a slot while it is open. Returns the number of slots. */
static int32_t schedule(operation *ops, int32_t count, event *events, int64_t *events_count, int32_t *free_slots)
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

static int begin(search *s, int32_t first)
{
    s->now.count = 0;
    s->cut = s->generation = 0;
    if (!make_room(s, &s->now, 1)) return 0;
    memset(s->now.words, 0, s->stride * sizeof *s->now.words);
    s->now.words[0] = seen(s, first);
    s->now.count = 1;
    return 1;
}

/* Whether the history `h`, all on one register that first holds `initial`, is linearizable: FINE, VIOLATION (then
 * `failed` is the operation at whose completion it is certain), or UNKNOWN when that would take more than so many
 * seconds or configurations at one time. A first pass keeps at most `beam` configurations, a second one more. */
int32_t history_search(const history *h, int32_t initial, double seconds, int64_t most, int64_t beam, int64_t *failed)
{
    int32_t n = (int32_t)h->count, first = 0, values, alike, slots, result = UNKNOWN;
    search s = {.most = most, .deadline = seconds_now() + seconds};
    operation *ops = malloc((n + 1) * sizeof *ops);
    event *events = malloc((2 * (size_t)n + 1) * sizeof *events);
    int32_t *numbers = NULL, *counts = NULL;
    uint64_t *sets = NULL;
    int64_t events_count;
    if (!ops || !events || (values = number_values(h, ops, initial, &first)) < 0 || (alike = number_alike(ops, n)) < 0) goto done;
    numbers = calloc((size_t)n + 3 * (size_t)alike + 1, sizeof *numbers);
    counts = calloc(2 * ((size_t)values + 1), sizeof *counts);
    if (!numbers || !counts) goto done;
    int32_t failing = 0;
    for (int32_t i = 0; i < n; i++) {
        if (ops[i].kind != WRITE && ops[i].kind != NOTHING) counts[ops[i].value]++;
        failing += ops[i].kind == FAILED_CAS;
    }
    if (!failing) leave_out_unseen(ops, n, counts);
    slots = schedule(ops, n, events, &events_count, numbers);
    s.ops = ops;
    s.words = slots / 64 + 1;
    s.stride = 1 + 2 * s.words;
    s.unseen = values;
    s.at_slot = numbers;
    s.stamp = numbers + n, s.best = s.stamp + alike, s.tried = s.best + alike;
    s.observers = counts + values + 1;
    size_t row = s.words, rows = (size_t)values + 1, size = (3 * rows + 2) * row;
    if (size > (1ull << 27) || !(sets = calloc(size, sizeof *sets))) goto done; /* 1 GB */
    s.reads = sets, s.failing = sets + rows * row, s.expecting = s.failing + rows * row;
    s.all_failing = s.expecting + rows * row, s.writes = s.all_failing + row;
    for (int pass = 0; pass < PASSES; pass++) {
        if (pass) memset(sets, 0, size * sizeof *sets);
        memset(s.stamp, 0, alike * sizeof *s.stamp);
        memcpy(s.observers, counts, ((size_t)values + 1) * sizeof *counts);
        s.failing_left = failing;
        s.beam = pass == 0 ? beam : pass == 1 ? WIDER * beam : 0;
        if (!begin(&s, first)) break;
        *failed = go_through(&s, events, events_count);
        if (s.out_of_bounds) break;
        result = *failed < 0 ? FINE : VIOLATION;
        if (result == FINE || !s.cut) break;
        result = UNKNOWN;
    }
done:
    free(ops); free(events); free(numbers); free(counts); free(sets);
    free(s.now.words); free(s.now.table); free(s.next.words); free(s.next.table); free(s.order);
    return result;
}
