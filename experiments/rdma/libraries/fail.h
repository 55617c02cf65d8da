/* Errors that end the program: one line on standard error. What runs at its end closes the endpoint. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

#define leave(code, ...) (fprintf(stderr, "fi_reads: " __VA_ARGS__), fputc('\n', stderr), fflush(NULL), exit(code))
#define fail(...) leave(1, __VA_ARGS__)
#define usage(...) leave(2, __VA_ARGS__)
