/* What the parts of the check for unique values share: see unique.c. */
#ifndef UNIQUE_H
#define UNIQUE_H
#include "history.h"

enum { FINE, VIOLATION, SEARCH };
enum { NONE = -1, ALWAYS = -2 }; /* no operation; the initial value */
enum { REPEATED = -2, UNPLACED = -3 }; /* instead of a cluster: the value is written more than once; is not entered yet */

typedef struct {
    int32_t head;              /* the operation that wrote the value, or ALWAYS */
    int32_t expects;           /* the value that a compare-and-set expects, or NONE */
    int32_t parent, child;     /* clusters before and after a compare-and-set */
    int64_t first, last;       /* earliest completion, latest invocation */
    int32_t first_op, last_op;
    uint8_t needed, visited;
} cluster;

typedef struct {
    int64_t first, last;
    int32_t first_op, last_op, root;
    uint8_t on_initial;         /* begins with a compare-and-set that expects the initial value, where that is written, too */
} block;

typedef struct {
    const history *h;
    const int32_t *ops;        /* of one key */
    int32_t count;
    int32_t *slot;             /* cluster of each value, valid where stamp == key */
    int32_t *stamp, key;
    cluster *clusters;
    int32_t clusters_count;
    block *blocks;
    int32_t blocks_count;
    int64_t *reach;            /* greatest `last` of the blocks so far */
    int32_t *reach_of;
    int32_t *proof, proof_count;
} work;

/* What an operation is to this check. */
enum { IGNORED, READS, WRITES, RESTORES }; /* RESTORES: it writes the initial value */

/* Notes the operations that matter, and returns VIOLATION. */
int violated(work *w, const int32_t *ops, int count);
#define VIOLATED(w, ...) violated(w, (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

int role(const work *w, int32_t op);
int check_unique(work *w); /* FINE, VIOLATION, or SEARCH: it is for the search to decide */
int check_alone(const history *h, int32_t values, int32_t *proof); /* keys.c: the same for a history of one key */
int sweep(work *w);        /* nulls.c */
#endif
