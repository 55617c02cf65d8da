#include "layouts.h"
#include "../store/digest.h"
#include <string.h>

#define HEAD 16u           /* a version, and a checksum or nothing */
#define LINE_VALUE 56u     /* of a line that also has a version */

static uint64_t load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static void store(void *at, uint64_t word)
{
    __atomic_store_n((uint64_t *)at, word, __ATOMIC_RELEASE);
}

static size_t tail(const size_t lines)
{
    return lines * LINE - sizeof(uint64_t);
}

/* ---- a head, the value, and a version at the end ---- */

static size_t lines_framed(size_t value)
{
    return (HEAD + value + sizeof(uint64_t) + LINE - 1) / LINE;
}

static void write_plain(char *record, const uint64_t *value, size_t length, uint64_t version)
{
    (void)version;
    memcpy(record + HEAD, value, length);
}

static bool take_plain(uint64_t *value, const char *lines, size_t length)
{
    memcpy(value, lines + HEAD, length);
    return true;
}

/* Odd while it is written, and even again after everything else. */
static void write_between(char *record, const uint64_t *value, size_t length, uint64_t version)
{
    store(record, version | 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    memcpy(record + HEAD, value, length);
    store(record + tail(lines_framed(length)), version);
}

static void write_two(char *record, const uint64_t *value, size_t length, uint64_t version)
{
    write_between(record, value, length, version);
    store(record, version);
}

static bool same_version(const char *lines, size_t length)
{
    uint64_t version = load(lines);
    return !(version & 1) && version == load(lines + tail(lines_framed(length)));
}

static bool take_two(uint64_t *value, const char *lines, size_t length)
{
    memcpy(value, lines + HEAD, length);
    return same_version(lines, length);
}

/* ---- a checksum over all lines but its own word ---- */

static uint64_t sum_of(const char *record, size_t lines, uint64_t version)
{
    char first[LINE];
    memcpy(first, record, LINE);
    memcpy(first, &version, sizeof version);
    memset(first + sizeof version, 0, sizeof version);
    return entry_digest(first, record + LINE, NULL, lines);
}

static void write_sums(char *record, const uint64_t *value, size_t length, uint64_t version)
{
    write_between(record, value, length, version);
    store(record + sizeof version, sum_of(record, lines_framed(length), version));
    store(record, version);
}

static bool take_sums(uint64_t *value, const char *lines, size_t length)
{
    memcpy(value, lines + HEAD, length);
    return same_version(lines, length) && load(lines + 8) == sum_of(lines, lines_framed(length), load(lines));
}

/* CRC-64 (ECMA-182, reflected), eight bytes a step. */
static uint64_t crc_tables[8][256];

__attribute__((constructor)) static void fill_crc_tables(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xc96c5795d7870f42u : 0);
        crc_tables[0][i] = crc;
    }
    for (unsigned i = 0; i < 256; i++)
        for (int table = 1; table < 8; table++)
            crc_tables[table][i] = crc_tables[0][crc_tables[table - 1][i] & 255] ^ crc_tables[table - 1][i] >> 8;
}

static uint64_t crc64(uint64_t crc, const char *data, size_t length)
{
    for (; length >= 8; data += 8, length -= 8) {
        uint64_t x = crc ^ load(data);
        crc = 0;
        for (int i = 0; i < 8; i++)
            crc ^= crc_tables[7 - i][x >> (8 * i) & 255];
    }
    return crc;
}

static void write_crc(char *record, const uint64_t *value, size_t length, uint64_t version)
{
    store(record, version);
    memcpy(record + HEAD, value, length);
    store(record + 8, crc64(~version, (const char *)value, length));
}

static bool take_crc(uint64_t *value, const char *lines, size_t length)
{
    memcpy(value, lines + HEAD, length);
    return load(lines + 8) == crc64(~load(lines), (const char *)value, length);
}

/* ---- a version in each line ---- */

static size_t lines_marked(size_t value)
{
    return (value + LINE_VALUE - 1) / LINE_VALUE;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void write_marked(char *record, const uint64_t *value, size_t length, uint64_t version)
{
    size_t lines = lines_marked(length);
    for (size_t i = 0; i < lines; i++) /* locked: a reader of any line sees it */
        store(record + i * LINE, version | 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (size_t i = 0; i < lines; i++) {
        size_t at = i * LINE_VALUE;
        memcpy(record + i * LINE + 8, (const char *)value + at, least(LINE_VALUE, length - at));
    }
    for (size_t i = 0; i < lines; i++)
        store(record + i * LINE, version);
}

static bool take_marked(uint64_t *value, const char *lines, size_t length)
{
    uint64_t version = load(lines), other = version & 1;
    for (size_t i = 0, at = 0; at < length; i++, at += LINE_VALUE) {
        other |= load(lines + i * LINE) ^ version;
        memcpy((char *)value + at, lines + i * LINE + 8, least(LINE_VALUE, length - at));
    }
    return !other;
}

const struct layout layouts[] = {
    {"none", lines_framed, write_plain, take_plain},       {"two-versions", lines_framed, write_two, take_two},
    {"per-line", lines_marked, write_marked, take_marked}, {"crc64", lines_framed, write_crc, take_crc},
    {"sums", lines_framed, write_sums, take_sums},         {0},
};

const struct layout *find_layout(const char *name)
{
    for (const struct layout *layout = layouts; layout->name; layout++)
        if (!strcmp(layout->name, name))
            return layout;
    return NULL;
}
