/* A GET, step by step. Each step either goes on at once or waits for a read or a reply, whose arrival takes the next. */
#include "client.h"
#include "digest.h"

void end_get(struct get *g, enum outcome outcome)
{
    g->outcome = outcome;
    g->ended = ticks();
    g->client->over[g->client->over_count++] = g;
}

/* ---- one-sided reads ---- */

static void on_read(void *request, ucs_status_t status, void *user)
{
    struct get *g = user;
    ucp_request_free(request);
    if (status != UCS_OK) {
        g->client->failed = status;
        end_get(g, READ_FAILED);
    } else {
        step(g);
    }
}

/* Read lines of the server's memory; false: they are still to arrive, or the GET is over. */
static bool read_by_ucx(struct get *g, uint64_t line, uint64_t length, void *into)
{
    ucp_request_param_t param = {
        .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA,
        .cb.send = on_read,
        .user_data = g,
    };
    struct client *c = g->client;
    if (c->many)
        param.op_attr_mask |= UCP_OP_ATTR_FLAG_MULTI_SEND;
    ucs_status_ptr_t request = ucp_get_nbx(c->endpoint, into, length, c->geometry.base + line * LINE, c->key, &param);
    if (request == NULL)
        return true;
    if (UCS_PTR_IS_ERR(request))
        end_get(g, READ_FAILED);
    return false;
}

static bool read_bucket(struct get *g)
{
    uint64_t buckets = g->client->geometry.buckets, line = 1 + (home_bucket(g->hash, buckets) + g->probes) % buckets;
    g->client->counts.index_reads++;
    if (!g->client->mapped)
        return read_by_ucx(g, line, LINE, &g->bucket);
    const struct bucket *there = (const struct bucket *)(g->client->mapped + line * LINE);
    for (unsigned i = 0; i < SLOTS; i++)
        g->bucket.slots[i] = __atomic_load_n(&there->slots[i], __ATOMIC_ACQUIRE);
    g->bucket.passed = __atomic_load_n(&there->passed, __ATOMIC_ACQUIRE);
    return true;
}

/* Copy an entry and compute its digest on the way. The version is read before and after everything else: what was
 * written in between shows in it, and x86 does neither reorder loads nor stores among themselves. */
static void copy_entry(struct get *g)
{
    const char *from = g->client->mapped + (uint64_t)g->place.line * LINE;
    struct head *head = (struct head *)(void *)g->buffer;
    uint64_t version = __atomic_load_n(&((const struct head *)(const void *)from)->version, __ATOMIC_ACQUIRE);
    memcpy(g->buffer, from, LINE);
    g->claimed_digest = head->digest;
    head->digest = 0;
    head->version = version;
    g->digest = entry_digest(g->buffer, from + LINE, g->buffer + LINE, g->place.lines);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&((const struct head *)(const void *)from)->version, __ATOMIC_ACQUIRE) != version)
        head->version |= WRITING;
    g->digested = true;
}

static bool read_entry(struct get *g)
{
    g->client->counts.entry_reads++;
    g->digested = false;
    if (!g->client->mapped || g->design == RAW_GET)
        return read_by_ucx(g, g->place.line, (uint64_t)g->place.lines * LINE, g->buffer);
    if (g->design == RAW_COPY || g->unvalidated)
        memcpy(g->buffer, g->client->mapped + (uint64_t)g->place.line * LINE, (size_t)g->place.lines * LINE);
    else
        copy_entry(g);
    return true;
}

/* ---- validation ---- */

enum verdict { VALID, CHANGED, OTHER };

/* Is the buffer one whole version of the entry of this key? */
static enum verdict judge(struct get *g)
{
    struct head *head = (struct head *)(void *)g->buffer;
    uint64_t lines = g->place.lines;
    if (!g->digested && !g->unvalidated) {
        g->claimed_digest = head->digest;
        head->digest = 0;
        g->digest = entry_digest(g->buffer, g->buffer + LINE, NULL, lines);
    }
    if (!g->unvalidated) {
        if (head->version & RETIRED)
            return OTHER;
        if (head->version & WRITING || head->version != *tail_version(g->buffer, lines) || g->digest != g->claimed_digest)
            return CHANGED;
    }
    if (head->key_length > MAX_KEY || head->value_length > lines * LINE ||
        entry_lines(head->key_length, head->value_length) != lines)
        return CHANGED;
    if (head->key_length != g->key_length || memcmp(head + 1, g->key, g->key_length) != 0)
        return OTHER;
    return VALID;
}

static void take_value(struct get *g)
{
    const struct head *head = (const struct head *)(const void *)g->buffer;
    g->value = g->buffer + value_offset(head->key_length);
    g->value_length = head->value_length;
    g->version = head->version;
    *g->known = g->place;
    end_get(g, GOT);
}

/* ---- steps ---- */

static void look_up(struct get *g)
{
    g->hash = hash_key(g->key, g->key_length);
    g->probes = 0;
    g->by_memory = false;
    g->phase = READ_BUCKET;
}

static void go_to(struct get *g, struct place place)
{
    g->place = place;
    g->phase = READ_ENTRY;
    if (!place_in_bounds(&g->client->geometry, place))
        end_get(g, OUT_OF_BOUNDS);
    else if (place.lines > g->buffer_lines)
        end_get(g, BUFFER_TOO_SMALL);
}

/* An entry of another key at a place that the index gave may mean that the object moved while we looked, and its place was
 * taken by a key of the same fingerprint (one in 2^15): before it is said not to be there, the index is read again. */
static void scan_bucket(struct get *g)
{
    while (g->slot < SLOTS) {
        uint64_t slot = g->bucket.slots[g->slot++];
        if (slot_matches(slot, g->hash)) {
            go_to(g, slot_place(slot));
            return;
        }
    }
    if (g->bucket.passed && ++g->probes < MAX_PROBES && g->probes < g->client->geometry.buckets)
        g->phase = READ_BUCKET;
    else if (g->doubts && g->passes++ < MOST_PASSES)
        look_up(g);
    else
        end_get(g, NOT_THERE);
}

/* Did the place hold another key's entry when the index was read, too? By its fingerprint it may have. */
static bool same_fingerprint(const struct get *g)
{
    const struct head *head = (const struct head *)(const void *)g->buffer;
    return ((hash_key((const char *)(head + 1), head->key_length) ^ g->hash) & 0x7fff) == 0;
}

/* The object is elsewhere by now: its place was retired, or is another object's. */
static void follow(struct get *g)
{
    g->client->counts.moved++;
    *g->known = (struct place){0};
    look_up(g);
}

static bool tried_long_enough(struct get *g)
{
    if (++g->attempts == 1)
        g->tried_since = seconds();
    return g->attempts % 256 == 0 && seconds() - g->tried_since > GIVE_UP_S;
}

/* What was read is not (yet) the object: where to look next. */
static void try_again(struct get *g, enum verdict verdict)
{
    bool retired = ((struct head *)(void *)g->buffer)->version & RETIRED;
    if (tried_long_enough(g)) {
        end_get(g, GAVE_UP);
    } else if (g->design == MESSAGE) {
        g->client->counts.changed++;
        g->phase = ASK;
    } else if (verdict == CHANGED) {
        g->client->counts.changed++;
        g->phase = READ_ENTRY;
    } else if (g->by_memory || retired || !same_fingerprint(g)) {
        follow(g);
    } else {
        g->doubts++;
        g->phase = SCAN_BUCKET;
    }
}

static void check_entry(struct get *g)
{
    if (g->design == RAW_COPY || g->design == RAW_GET) {
        end_get(g, GOT);
        return;
    }
    enum verdict verdict = judge(g);
    if (verdict == VALID)
        take_value(g);
    else
        try_again(g, verdict);
}

static void ask(struct get *g)
{
    struct client *c = g->client;
    while (c->asked[c->next_ticket % MAX_GETS])
        c->next_ticket++;
    g->ticket = c->next_ticket++;
    g->phase = AWAIT;
    c->asked[g->ticket % MAX_GETS] = g;
    if (c->gathering) {
        gather(c, g);
        return;
    }
    c->counts.messages++;
    struct request request = {ASK_GET, g->ticket, (uint32_t)g->key_length, 0};
    if (!request_message(c, request, g->key, NULL, 0)) {
        c->asked[g->ticket % MAX_GETS] = NULL;
        end_get(g, READ_FAILED);
    }
}

void step(struct get *g)
{
    while (g->outcome == PENDING)
        switch (g->phase) {
        case READ_BUCKET:
            g->phase = SCAN_BUCKET;
            g->slot = 0;
            if (!read_bucket(g))
                return;
            break;
        case SCAN_BUCKET:
            scan_bucket(g);
            break;
        case READ_ENTRY:
            g->phase = CHECK_ENTRY;
            if (!read_entry(g))
                return;
            break;
        case CHECK_ENTRY:
            check_entry(g);
            break;
        case ASK:
            ask(g);
            return;
        case AWAIT:
            return;
        }
}

void begin_get(struct get *g)
{
    struct client *c = g->client;
    g->outcome = PENDING;
    g->attempts = g->doubts = g->passes = 0;
    if (g->design == NOTHING) {
        end_get(g, GOT);
        return;
    }
    if (g->key_length == 0 || g->key_length > MAX_KEY) {
        end_get(g, OVERSIZE_KEY);
        return;
    }
    if (g->design != MESSAGE && ticks() >= c->next_look) {
        enum outcome found = look_at_server(c);
        if (found != GOT) {
            end_get(g, found);
            return;
        }
    }
    if (g->design == MESSAGE) {
        g->phase = ASK;
    } else if (g->design != LOOKUP && g->known->lines) {
        g->by_memory = true;
        go_to(g, *g->known);
    } else {
        look_up(g);
    }
    step(g);
}
