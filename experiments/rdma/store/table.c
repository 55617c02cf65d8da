#include "table.h"
#include "digest.h"
#include <stdlib.h>

const char *const status_names[] = {
    "stored",    "found",        "absent",          "index full",
    "heap full", "key too long", "value too large", "a replica did not keep it",
};

/* At two objects in three slots: then a key is on average within 1.06 buckets of its home, at any capacity. */
uint64_t buckets_for(uint64_t capacity)
{
    return (capacity * 3 + 2ull * SLOTS - 1) / (2ull * SLOTS) + 1;
}

struct table *create_table(void *memory, uint64_t lines, uint64_t capacity, uint64_t epoch)
{
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->memory = memory;
    t->geometry = (struct geometry){(uintptr_t)memory, lines, buckets_for(capacity), epoch};
    t->capacity = capacity;
    t->next_line = 1 + t->geometry.buckets;
    memset(memory, 0, t->next_line * LINE);
    *(struct header *)memory = (struct header){.magic = MAGIC, .epoch = epoch, .heartbeat = 1};
    return t;
}

/* ---- the index ---- */

struct found {
    struct bucket *home, *bucket;
    uint64_t *slot; /* NULL: the key is not there */
    unsigned probes;
};

static struct bucket *probe(const struct table *t, uint64_t hash, unsigned probes)
{
    uint64_t buckets = t->geometry.buckets;
    return at_line(t, 1 + (home_bucket(hash, buckets) + probes) % buckets);
}

static bool has_key(const struct head *head, const char *key, size_t key_length)
{
    return head->key_length == key_length && !memcmp(head + 1, key, key_length);
}

static struct found look(const struct table *t, uint64_t hash, const char *key, size_t key_length)
{
    for (unsigned probes = 0; probes < MAX_PROBES && probes < t->geometry.buckets; probes++) {
        struct bucket *bucket = probe(t, hash, probes);
        for (unsigned i = 0; i < SLOTS; i++)
            if (slot_matches(bucket->slots[i], hash) &&
                has_key(at_line(t, slot_place(bucket->slots[i]).line), key, key_length))
                return (struct found){.slot = &bucket->slots[i], .probes = probes};
        if (!bucket->passed)
            break;
    }
    return (struct found){0};
}

static uint64_t *free_slot(const struct table *t, uint64_t hash, unsigned *probes)
{
    for (*probes = 0; *probes < MAX_PROBES && *probes < t->geometry.buckets; ++*probes) {
        struct bucket *bucket = probe(t, hash, *probes);
        for (unsigned i = 0; i < SLOTS; i++)
            if (!bucket->slots[i])
                return &bucket->slots[i];
    }
    return NULL;
}

/* Count in each bucket before the key's the keys that passed it: a reader goes on as long as there are some. */
static void count_passed(const struct table *t, uint64_t hash, unsigned probes, uint64_t by)
{
    for (unsigned i = 0; i < probes; i++)
        __atomic_fetch_add(&probe(t, hash, i)->passed, by, __ATOMIC_RELEASE);
}

/* ---- the heap: entries are reused for entries of as many lines, so that one never begins inside another ---- */

static struct place allocate(struct table *t, uint64_t lines)
{
    uint32_t line = t->free_lists[lines];
    if (line) {
        t->free_lists[lines] = ((struct head *)at_line(t, line))->value_length;
    } else if (lines <= t->geometry.lines - t->next_line) {
        line = (uint32_t)t->next_line;
        t->next_line += lines;
    } else {
        return (struct place){0};
    }
    t->heap_lines += lines;
    return (struct place){line, (uint32_t)lines};
}

static bool allocates(const struct table *t, uint64_t lines)
{
    return t->free_lists[lines] || lines <= t->geometry.lines - t->next_line;
}

static void retire(struct table *t, struct place place)
{
    struct head *head = at_line(t, place.line);
    __atomic_store_n(&head->version, head->version | RETIRED, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    head->key_length = 0;
    head->value_length = t->free_lists[place.lines]; /* the next one of the list */
    t->free_lists[place.lines] = place.line;
    t->heap_lines -= place.lines;
}

/* Readers see the version odd before anything else changes, and even again after everything has. */
static void write_entry(struct table *t, struct place place, uint64_t hash, const char *key, size_t key_length,
                        size_t length, fill_value *fill, const void *source)
{
    struct head *head = at_line(t, place.line);
    uint64_t version = t->last_version += VERSION_STEP, begin = value_offset(key_length);
    __atomic_store_n(&head->version, version | WRITING, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    struct head settled = {.version = version, .value_length = (uint32_t)length, .key_length = (uint16_t)key_length};
    char *entry = (char *)head;
    memcpy(entry + sizeof settled, key, key_length);
    memset(entry + sizeof settled + key_length, 0, begin - sizeof settled - key_length);
    fill(entry + begin, length, hash, version, source);
    memset(entry + begin + length, 0, (size_t)place.lines * LINE - begin - length);
    *tail_version(entry, place.lines) = version;
    memcpy(&head->digest, &settled.digest, sizeof settled - offsetof(struct head, digest));
    char first[LINE]; /* the digest is of the final version, which must not show before the digest does */
    memcpy(first, entry, LINE);
    memcpy(first, &version, sizeof version);
    head->digest = entry_digest(first, entry + LINE, NULL, place.lines);
    __atomic_store_n(&head->version, version, __ATOMIC_RELEASE);
}

/* ---- operations ---- */

enum status find(struct table *t, const char *key, size_t key_length, struct place *place)
{
    if (key_length == 0 || key_length > MAX_KEY)
        return KEY_TOO_LONG;
    struct found found = look(t, hash_key(key, key_length), key, key_length);
    if (!found.slot)
        return ABSENT;
    *place = slot_place(*found.slot);
    return FOUND;
}

static enum status insert(struct table *t, uint64_t hash, const char *key, size_t key_length, size_t length,
                          fill_value *fill, const void *source)
{
    unsigned probes;
    uint64_t *slot = t->objects < t->capacity ? free_slot(t, hash, &probes) : NULL;
    if (!slot)
        return INDEX_FULL;
    struct place place = allocate(t, entry_lines(key_length, length));
    if (!place.lines)
        return HEAP_FULL;
    write_entry(t, place, hash, key, key_length, length, fill, source);
    count_passed(t, hash, probes, 1);
    __atomic_store_n(slot, pack_slot(hash, place), __ATOMIC_RELEASE);
    t->objects++;
    return STORED;
}

static enum status fits(size_t key_length, size_t length)
{
    if (key_length == 0 || key_length > MAX_KEY)
        return KEY_TOO_LONG;
    if (length > (uint64_t)MAX_LINES * LINE || entry_lines(key_length, length) > MAX_LINES)
        return VALUE_TOO_LARGE;
    return STORED;
}

enum status room_for(const struct table *t, const char *key, size_t key_length, size_t length)
{
    unsigned probes;
    if (fits(key_length, length) != STORED)
        return fits(key_length, length);
    uint64_t hash = hash_key(key, key_length), lines = entry_lines(key_length, length);
    struct found found = look(t, hash, key, key_length);
    if (found.slot && slot_place(*found.slot).lines == lines)
        return STORED;
    if (!found.slot && (t->objects >= t->capacity || !free_slot(t, hash, &probes)))
        return INDEX_FULL;
    return allocates(t, lines) ? STORED : HEAP_FULL;
}

enum status put(struct table *t, const char *key, size_t key_length, size_t length, fill_value *fill, const void *source)
{
    if (fits(key_length, length) != STORED)
        return fits(key_length, length);
    uint64_t hash = hash_key(key, key_length);
    struct found found = look(t, hash, key, key_length);
    if (!found.slot)
        return insert(t, hash, key, key_length, length, fill, source);
    struct place old = slot_place(*found.slot), place = old;
    if (entry_lines(key_length, length) != old.lines) {
        place = allocate(t, entry_lines(key_length, length));
        if (!place.lines)
            return HEAP_FULL;
    }
    write_entry(t, place, hash, key, key_length, length, fill, source);
    if (place.line != old.line) {
        __atomic_store_n(found.slot, pack_slot(hash, place), __ATOMIC_RELEASE);
        retire(t, old);
    }
    return STORED;
}

enum status discard(struct table *t, const char *key, size_t key_length)
{
    if (key_length == 0 || key_length > MAX_KEY)
        return KEY_TOO_LONG;
    uint64_t hash = hash_key(key, key_length);
    struct found found = look(t, hash, key, key_length);
    if (!found.slot)
        return ABSENT;
    struct place place = slot_place(*found.slot);
    __atomic_store_n(found.slot, 0, __ATOMIC_RELEASE);
    count_passed(t, hash, found.probes, (uint64_t)-1);
    retire(t, place);
    t->objects--;
    return FOUND;
}
