/* One side of a one-sided read through libfabric: an endpoint with its completion queue, counter, and address. */
#pragma once
#include "gpu.h"
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <stdbool.h>
#include <stdint.h>

#define MAX_NAME 256u

struct endpoint {
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_av *addresses;
    struct fid_cq *completions;
    struct fid_cntr *counter; /* of the reads that it has completed */
    struct fid_ep *ep;
};

/* `address` is the local one, or "". `hmem`: buffers may lie in a GPU. The end of the process closes it. */
void open_endpoint(struct endpoint *e, const char *provider, const char *address, bool hmem);
struct fid_mr *register_memory(struct endpoint *e, void *memory, size_t length, uint64_t access, enum place place);
bool uses_addresses(const struct endpoint *e); /* whether a remote read names an address, or an offset */
void check_fi(long status, const char *what);  /* fail if it is an error */
