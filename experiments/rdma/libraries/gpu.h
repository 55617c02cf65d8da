/* Memory that a GPU reads or holds. libcuda comes with the driver of a GPU and is loaded when it is needed.
 *
 * The authors had no GPU: this was never executed. */
#pragma once
#include <stddef.h>

enum place { IN_HOST, PINNED, IN_GPU }; /* where a value ends: in this host, there for the GPU to fetch, or in the GPU */

void open_gpu(void); /* the first one */
void *gpu_memory(size_t length); /* an address of the GPU */
void pin_memory(void *memory, size_t length); /* whole pages of this host */
void copy_to_gpu(void *gpu, const void *memory, size_t length); /* returns when it has arrived */
void copy_from_gpu(void *memory, const void *gpu, size_t length); /* likewise */
