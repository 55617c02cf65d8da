/* The checksum of entries: 64 bits over whole lines, optionally while copying them.
 *
 * As in NH of UMAC (RFC 4418), words are added to a key in halves of 32 bits and the halves multiplied, here into eight
 * sums; the key of each line is the one before plus a constant. It finds what happens by accident: lines of two versions
 * in one entry. It is no protection against an adversary. */
#pragma once
#include "layout.h"

uint64_t digest(const void *lines, size_t count);
uint64_t digest_while_copying(void *into, const void *lines, size_t count);

/* The digest of an entry, whose first line is at `first` with its digest as 0, and the others at `rest`. They are copied
 * to `into` as they are read, unless that is NULL. */
static inline uint64_t entry_digest(const void *first, const void *rest, void *into, size_t lines)
{
    uint64_t others = into ? digest_while_copying(into, rest, lines - 1) : digest(rest, lines - 1);
    return mixed(digest(first, 1)) + others;
}
