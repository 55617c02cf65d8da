#define _GNU_SOURCE
#include "gpu.h"
#include "fail.h"
#include <dlfcn.h>
#include <stdint.h>

/* What cuda.h declares, of the driver's stable interface. */
typedef int result; /* 0: success */
typedef uint64_t address;

static struct {
    result (*init)(unsigned flags);
    result (*device)(int *device, int number);
    result (*retain)(void **context, int device);
    result (*use)(void *context);
    result (*allocate)(address *memory, size_t length);
    result (*pin)(void *memory, size_t length, unsigned flags);
    result (*to_gpu)(address to, const void *from, size_t length);
    result (*from_gpu)(void *to, address from, size_t length);
    result (*explain)(result code, const char **text);
} cuda;

static void check(result code, const char *what)
{
    const char *text = NULL;
    if (code)
        (void)cuda.explain(code, &text);
    if (code)
        fail("%s: %s (CUDA %d)", what, text ? text : "unknown", code);
}

static void *find(void *library, const char *name)
{
    void *symbol = dlsym(library, name);
    if (!symbol)
        fail("the GPU's driver has no %s: it is too old", name);
    return symbol;
}

/* A function's address comes as one of data: POSIX says that they are alike. */
#define FIND(field, name) (*(void **)(void *)&cuda.field = find(library, name))

static void load(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library)
        fail("libcuda.so.1 cannot be loaded: run this on a host with a GPU and its driver");
    FIND(init, "cuInit");
    FIND(device, "cuDeviceGet");
    FIND(retain, "cuDevicePrimaryCtxRetain");
    FIND(use, "cuCtxSetCurrent");
    FIND(allocate, "cuMemAlloc_v2");
    FIND(pin, "cuMemHostRegister_v2");
    FIND(to_gpu, "cuMemcpyHtoD_v2");
    FIND(from_gpu, "cuMemcpyDtoH_v2");
    FIND(explain, "cuGetErrorString");
}

void open_gpu(void)
{
    int device;
    void *context;
    load();
    check(cuda.init(0), "starting CUDA");
    check(cuda.device(&device, 0), "opening the first GPU");
    check(cuda.retain(&context, device), "opening the GPU's context");
    check(cuda.use(context), "using the GPU's context");
}

void *gpu_memory(size_t length)
{
    address memory;
    check(cuda.allocate(&memory, length), "allocating memory of the GPU");
    return (void *)(uintptr_t)memory; /* NOLINT(performance-no-int-to-ptr): one space of addresses */
}

void pin_memory(void *memory, size_t length)
{
    check(cuda.pin(memory, length, 0), "pinning memory for the GPU");
}

void copy_to_gpu(void *gpu, const void *memory, size_t length)
{
    check(cuda.to_gpu((address)(uintptr_t)gpu, memory, length), "copying to the GPU");
}

void copy_from_gpu(void *memory, const void *gpu, size_t length)
{
    check(cuda.from_gpu(memory, (address)(uintptr_t)gpu, length), "copying from the GPU");
}
