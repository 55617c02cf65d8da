/* What the parts of the check for unique values share: see unique.c. */
#ifndef UNIQUE_H
#define UNIQUE_H
#include "history.h"

enum { FINE, VIOLATION, SEARCH };
enum { NONE = -1, ALWAYS = -2 }; /* no operation; the initial null */
#define MAX_PROOF 8

typedef struct {
    int32_t head;              /* the operation that wrote the value, or ALWAYS */
    int32_t parent, child;     /* clusters before and after a compare-and-set */
    int64_t first, last;       /* earliest completion, latest invocation */
    int32_t first_op, last_op;
    uint8_t needed, visited;
} cluster;

typedef struct {
    int64_t first, last;
    int32_t first_op, last_op, root;
    uint8_t on_null;           /* begins with a compare-and-set that expects null, where there are deletes */
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

/* Notes the operations that matter, and returns VIOLATION. */
int violated(work *w, const int32_t *ops, int count);
#define VIOLATED(w, ...) violated(w, (int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

int check_unique(work *w); /* unique.c: FINE, VIOLATION, or SEARCH: it is for the search to decide */
int sweep(work *w);        /* nulls.c */
#endif
