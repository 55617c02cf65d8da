/* What a device counts while GETs run: the files of one or more folders, each with one number, as sysfs shows them. */
#pragma once
#include <stdint.h>

#define MAX_COUNTERS 96

struct counters {
    unsigned count;
    struct counter {
        char name[256];
        uint64_t value;
    } each[MAX_COUNTERS];
};

void read_counters(struct counters *into, const char *folders); /* separated by ':' */
void print_counted(const struct counters *before, const struct counters *after); /* as a JSON object */
