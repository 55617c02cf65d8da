/* Errors that end the program: one line on standard error. */
#pragma once
#include <stdio.h>
#include <unistd.h>

#define leave(code, ...) (fprintf(stderr, "layouts: " __VA_ARGS__), fputc('\n', stderr), fflush(NULL), _exit(code))
#define fail(...) leave(1, __VA_ARGS__)
#define usage(...) leave(2, __VA_ARGS__)
