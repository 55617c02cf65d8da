/* What the two halves of the library share: operations as columns, and values as numbers. */
#ifndef HISTORY_H
#define HISTORY_H
#include <stdint.h>

enum { READ, WRITE, CAS, FAILED_CAS, NOTHING = 255 };
#define NEVER INT64_MAX /* completed_ns of an operation whose outcome is unknown */
#define ABSENT 0        /* the number of the value null */
#define MAX_PROOF 8     /* operations that a proof names at most */

typedef struct {
    int64_t count;
    int32_t initial;    /* the number of the value that each register first holds */
    uint8_t *kind;      /* a delete is a write of null; NOTHING is an operation that constrains nothing */
    int32_t *key, *client;
    int32_t *value;     /* read or written, or expected by a compare-and-set */
    int32_t *set_to;    /* written by a compare-and-set */
    int64_t *invoked, *completed;
    int32_t *line;
} history;
#endif
