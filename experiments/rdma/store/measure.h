/* The measuring loops and the shell. */
#pragma once
#include "options.h"

void measure(const struct options *options);
void put_objects(const struct options *options);
void shell(const struct options *options);
