/* Reads a history, one JSON object a line or an array of them, into columns. Accepts what it is sure of; everything else it leaves to
 * Python's parser, which has the last word on what is valid and what to say of it. */
#include <stdlib.h>
#include <string.h>

#include "history.h"

typedef struct { const char *at; int32_t length; } token;
typedef struct { uint32_t hash; int32_t id; } entry; /* small, since a history may have many names */
typedef struct {
    entry *entries;
    uint64_t mask;
    int64_t *offset;    /* of each distinct token in the text */
    int32_t *length;
    int32_t count, plain; /* plain: 0 once a token was seen whose text does not tell its value */
    int short_of_memory;
    const char *text;
} names;

enum { OP, KEY, CLIENT, VALUE, EXPECTED, NEW, RESULT, INVOKED, COMPLETED, FIELDS };
static const char *const FIELD[FIELDS] = {"op", "key", "client", "value", "expected", "new", "result", "invoked_ns", "completed_ns"};

static const char *blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
    return p;
}

/* Each of these returns the first character after what it skips, or NULL. */
static const char *skip_string(const char *p, const char *end, int *plain)
{
    for (p++; p < end; p++) {
        if (*p == '"') return p + 1;
        if ((unsigned char)*p < 0x20) return NULL;
        if (*p == '\\') {
            *plain = 0;
            if (++p >= end || !strchr("\"\\/bfnrtu", *p) || !*p) return NULL;
            if (*p == 'u')
                for (int i = 0; i < 4; i++)
                    if (++p >= end || !strchr("0123456789abcdefABCDEF", *p) || !*p) return NULL;
        }
    }
    return NULL;
}

static const char *digits(const char *p, const char *end)
{
    const char *begin = p;
    while (p < end && *p >= '0' && *p <= '9') p++;
    return p > begin ? p : NULL;
}

static const char *skip_number(const char *p, const char *end, int *plain)
{
    if (*p == '-') { p++; if (p < end && *p == '0') *plain = 0; }
    const char *begin = p;
    if (!(p = digits(p, end)) || (*begin == '0' && p > begin + 1)) return NULL;
    if (p < end && *p == '.') { *plain = 0; if (!(p = digits(p + 1, end))) return NULL; }
    if (p < end && (*p == 'e' || *p == 'E')) {
        *plain = 0;
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (!(p = digits(p, end))) return NULL;
    }
    return p;
}

static const char *skip_value(const char *p, const char *end, int *plain, int depth)
{
    if (p >= end || depth > 64) return NULL;
    if (*p == '"') return skip_string(p, end, plain);
    if (*p == '-' || (*p >= '0' && *p <= '9')) return skip_number(p, end, plain);
    if (*p == '{' || *p == '[') {
        int object = *p == '{';
        char close = object ? '}' : ']';
        *plain = 0;
        p = blank(p + 1, end);
        if (p < end && *p == close) return p + 1;
        for (;;) {
            if (object) {
                if (p >= end || *p != '"' || !(p = skip_string(p, end, plain))) return NULL;
                p = blank(p, end);
                if (p >= end || *p != ':') return NULL;
                p = blank(p + 1, end);
            }
            if (!(p = skip_value(p, end, plain, depth + 1))) return NULL;
            p = blank(p, end);
            if (p < end && *p == close) return p + 1;
            if (p >= end || *p != ',') return NULL;
            p = blank(p + 1, end);
        }
    }
    static const char *const words[] = {"null", "true", "false"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(end - p) >= n && !memcmp(p, words[i], n)) return p + n;
    }
    return NULL;
}

static int is(token t, const char *text)
{
    return t.length == (int32_t)strlen(text) && !memcmp(t.at, text, t.length);
}

static int grow(names *n)
{
    uint64_t mask = 2 * n->mask + 1;
    entry *larger = calloc(mask + 1, sizeof *larger);
    if (!larger) return 0;
    for (uint64_t i = 0; i <= n->mask; i++) {
        if (!n->entries[i].id) continue;
        uint64_t place = n->entries[i].hash & mask;
        while (larger[place].id) place = (place + 1) & mask;
        larger[place] = n->entries[i];
    }
    free(n->entries);
    n->entries = larger;
    n->mask = mask;
    return 1;
}

/* The number of a token: the same for the same text. Without memory it is 0, and noted in `n`. */
static int32_t name(names *n, token t, int plain)
{
    if (3 * (uint64_t)n->count > 2 * n->mask && !grow(n)) { n->short_of_memory = 1; return ABSENT; }
    uint64_t hash = 1469598103934665603ull ^ (uint64_t)t.length;
    int32_t i = 0;
    if (is(t, "null")) return ABSENT;
    for (; i + 8 <= t.length; i += 8) {
        uint64_t word;
        memcpy(&word, t.at + i, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
        hash ^= hash >> 29;
    }
    for (; i < t.length; i++) hash = (hash ^ (unsigned char)t.at[i]) * 1099511628211ull;
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 29;
    uint32_t folded = (uint32_t)(hash >> 32);
    for (uint64_t place = folded & n->mask;; place = (place + 1) & n->mask) {
        entry *e = &n->entries[place];
        if (!e->id) {
            e->hash = folded;
            e->id = n->count;
            n->offset[n->count] = t.at - n->text;
            n->length[n->count] = t.length;
            if (!plain) n->plain = 0;
            return n->count++;
        }
        if (e->hash == folded && n->length[e->id] == t.length && !memcmp(n->text + n->offset[e->id], t.at, t.length)) return e->id;
    }
}

static int number(token t, int64_t *out)
{
    int negative = t.length && t.at[0] == '-';
    int64_t value = 0;
    if (t.length - negative > 19) return 0;
    for (int32_t i = negative; i < t.length; i++) {
        int digit = t.at[i] - '0';
        if (digit < 0 || digit > 9 || value > (NEVER - 1 - digit) / 10) return 0;
        value = 10 * value + digit;
    }
    *out = negative ? -value : value;
    return t.length > negative;
}

static int succeeded(token t) { return is(t, "true") || is(t, "\"ok\""); }
static int failed(token t) { return is(t, "false") || is(t, "\"fail\""); }
static int unknown(token t) { return is(t, "\"info\"") || is(t, "\"unknown\""); }

/* Enters one line's fields as operation `i`. Returns 0 when Python has to decide. */
static int enter(history *h, int64_t i, names *n, const token *t, const int *plain)
{
    if (!t[OP].at || !t[KEY].at || !t[CLIENT].at || !t[INVOKED].at || !t[COMPLETED].at) return 0;
    if (!number(t[INVOKED], &h->invoked[i])) return 0;
    if (is(t[COMPLETED], "null")) h->completed[i] = NEVER;
    else if (!number(t[COMPLETED], &h->completed[i]) || h->completed[i] < h->invoked[i]) return 0;
    if (t[KEY].at[0] != '"' && (!plain[KEY] || !strchr("-0123456789", t[KEY].at[0]))) return 0;
    if (!plain[OP] || (!plain[RESULT] && t[RESULT].at[0] == '"' && !is(t[OP], "\"read\""))) return 0;
    h->key[i] = name(n, t[KEY], plain[KEY]);
    h->client[i] = name(n, t[CLIENT], plain[CLIENT]);
    h->value[i] = h->set_to[i] = ABSENT;
    int pending = h->completed[i] == NEVER;
    if (is(t[OP], "\"read\"")) {
        token got = t[RESULT].at ? t[RESULT] : t[VALUE];
        if (pending) { h->kind[i] = NOTHING; return 1; }
        if (!got.at) return 0;
        if (t[RESULT].at && t[VALUE].at && !is(t[VALUE], "null") && (got.length != t[VALUE].length || memcmp(got.at, t[VALUE].at, got.length) != 0))
            return 0;
        h->kind[i] = READ;
        h->value[i] = name(n, got, t[RESULT].at ? plain[RESULT] : plain[VALUE]);
        return 1;
    }
    token result = t[RESULT];
    if (result.at && !pending && unknown(result)) h->completed[i] = NEVER, pending = 1;
    int without_effect = result.at && !pending && failed(result);
    if (result.at && !pending && !without_effect && !succeeded(result) && !is(result, "null")) return 0;
    if (is(t[OP], "\"delete\"")) {
        h->kind[i] = without_effect ? NOTHING : WRITE;
        return 1;
    }
    if (is(t[OP], "\"write\"")) {
        if (!t[VALUE].at) return 0;
        h->kind[i] = without_effect ? NOTHING : WRITE;
        h->value[i] = name(n, t[VALUE], plain[VALUE]);
        return 1;
    }
    if (!is(t[OP], "\"cas\"") || !t[EXPECTED].at || !t[NEW].at) return 0;
    if (!pending && !without_effect && !(result.at && succeeded(result))) return 0;
    h->kind[i] = !without_effect ? CAS : is(result, "false") ? FAILED_CAS : NOTHING; /* else the operation failed */
    h->value[i] = name(n, t[EXPECTED], plain[EXPECTED]);
    h->set_to[i] = name(n, t[NEW], plain[NEW]);
    return 1;
}

/* Returns the first character after the object, or NULL when Python has to decide. */
static const char *parse_object(const char *p, const char *end, token *t, int *plain)
{
    memset(t, 0, FIELDS * sizeof *t);
    for (int f = 0; f < FIELDS; f++) plain[f] = 1;
    if (p >= end || *p != '{') return NULL;
    p = blank(p + 1, end);
    for (;;) {
        int simple = 1, what = FIELDS;
        const char *begin = p;
        if (p >= end || *p != '"' || !(p = skip_string(p, end, &simple)) || !simple) return NULL;
        for (int f = 0; f < FIELDS; f++)
            if ((size_t)(p - begin - 2) == strlen(FIELD[f]) && !memcmp(begin + 1, FIELD[f], p - begin - 2)) what = f;
        p = blank(p, end);
        if (p >= end || *p != ':') return NULL;
        begin = p = blank(p + 1, end);
        if (!(p = skip_value(p, end, &simple, 0))) return NULL;
        if (what < FIELDS) {
            if (t[what].at) return NULL;
            t[what] = (token){begin, (int32_t)(p - begin)};
            plain[what] = simple;
        }
        p = blank(p, end);
        if (p < end && *p == '}') return p + 1;
        if (p >= end || *p != ',') return NULL;
        p = blank(p + 1, end);
    }
}

/* Reads one object of the text up to `end` as the next operation. Returns what follows it, or NULL. */
static const char *parse_operation(const char *p, const char *end, history *h, names *n, int64_t number)
{
    token t[FIELDS];
    int simple[FIELDS];
    if (!(p = parse_object(p, end, t, simple)) || !enter(h, h->count, n, t, simple) || n->short_of_memory) return NULL;
    h->line[h->count++] = (int32_t)number;
    return p;
}

/* Each returns 0, or the number of the first line, or entry, that Python has to decide on. */
static int64_t parse_lines(const char *p, const char *end, history *h, names *n)
{
    for (int64_t line = 1; p < end; line++) {
        const char *stop = memchr(p, '\n', end - p);
        if (!stop) stop = end;
        p = blank(p, stop);
        if (p < stop && (!(p = parse_operation(p, stop, h, n, line)) || blank(p, stop) != stop)) return line;
        p = stop + 1;
    }
    return 0;
}

static int64_t parse_array(const char *p, const char *end, history *h, names *n)
{
    p = blank(p, end);
    if (p >= end || *p != '[') return 1;
    p = blank(p + 1, end);
    if (p < end && *p == ']') return blank(p + 1, end) != end;
    for (int64_t entry = 1;; entry++) {
        if (!(p = parse_operation(p, end, h, n, entry))) return entry;
        p = blank(p, end);
        if (p < end && *p == ']') return blank(p + 1, end) == end ? 0 : entry;
        if (p >= end || *p != ',') return entry;
        p = blank(p + 1, end);
    }
}

/* Fills `h` (with room for one operation a line, or an opening brace) and the distinct tokens' places in `text` (room for
 * four an operation). Returns 0, the number of the first line, or entry of the array, that it does not take, or -1 without
 * memory. `plain` is set to 0 when tokens may be equal in value that differ in text. */
int64_t history_parse(
    const char *text, int64_t size, int32_t is_array, history *h, int64_t *offset, int32_t *length, int32_t *distinct,
    int32_t *plain)
{
    names n = {.offset = offset, .length = length, .count = 1, .plain = 1, .text = text};
    n.mask = (1 << 17) - 1;
    if (!(n.entries = calloc(n.mask + 1, sizeof *n.entries))) return -1;
    h->count = 0;
    int64_t bad = (is_array ? parse_array : parse_lines)(text, text + size, h, &n);
    if (n.short_of_memory) bad = -1;
    *distinct = n.count;
    *plain = n.plain;
    free(n.entries);
    return bad;
}
