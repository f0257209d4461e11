/*
 * protocol.h - what the load program and the reference servers say to each other.
 *
 * A request is one byte that tells how long the server works: f nothing, l 1 ms, h 100 ms; b sends
 * bulk data. In lower case the server closes after the answer, in upper case it waits for another
 * request. The answer is the byte itself, the low 16 bits of the server's pid in hexadecimal and a
 * newline, after b followed by BENCH_BULK_BYTES zeros.
 */
#ifndef SSHIM_BENCH_PROTOCOL_H
#define SSHIM_BENCH_PROTOCOL_H

#define BENCH_ANSWER_BYTES 6
#define BENCH_BULK_BYTES (4 << 20)
#define BENCH_LIGHT_US 1000
#define BENCH_HEAVY_US 100000
#define BENCH_BACKLOG 4096

#endif
