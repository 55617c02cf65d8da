/* Ways to lay out a record so that a reader without a lock, and without the writer's processor, tells a whole version
 * from a torn one. All are made of lines of 64 bytes, which a reader gets whole, and in any order.
 *
 *   none         no version at all: what happens without
 *   two-versions a version before and one after (a seqlock): right only if lines are read in order
 *   per-line     a version in each line, as in FaRM; the reader strips them while it copies
 *   crc64        a CRC-64 over all of it, as in Pilaf
 *   sums         two versions and a sum of products over all of it, that of our store
 *
 * SABRes do the comparison of `two-versions` in the network adapter, which watches the lines for writes meanwhile:
 * software cannot, so their cost is not measured here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE 64u

struct layout {
    const char *name;
    size_t (*lines)(size_t value);                                     /* of a record with so many bytes of value */
    void (*write)(char *record, const uint64_t *value, size_t length, uint64_t version); /* while others read */
    /* Copy the value out of lines that were read; false: they are not one whole version. */
    bool (*take)(uint64_t *value, const char *lines, size_t length);
};

extern const struct layout layouts[];
const struct layout *find_layout(const char *name); /* NULL: there is none of that name */
