/* histogram.h - latencies in nanoseconds with a precision of 1.6 %, in constant memory. */
#ifndef SSHIM_BENCH_HISTOGRAM_H
#define SSHIM_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS (64 * 40)

struct histogram {
    uint64_t count, sum_ns, max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* The latency that this share (0 to 1) of all did not exceed; 0 when empty. */
uint64_t histogram_quantile_ns(const struct histogram *histogram, double share);

#endif
