/* Errors that end the program: one line on standard error, and the end, at once: neither exit handlers nor UCX's
 * cleanup may wait for a peer that is gone. */
#pragma once
#include <stdio.h>
#include <unistd.h>

#define leave(code, ...) (fprintf(stderr, "store: " __VA_ARGS__), fputc('\n', stderr), fflush(NULL), _exit(code))
#define fail(...) leave(1, __VA_ARGS__)
#define usage(...) leave(2, __VA_ARGS__)
