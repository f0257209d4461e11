/* serve.h - the work behind one accepted connection, for every kind of reference server. */
#ifndef SSHIM_BENCH_SERVE_H
#define SSHIM_BENCH_SERVE_H

#include <stdbool.h>

/* Reads one request from a readable connection, works, answers. False: the connection is to be
 * closed. */
bool serve_request(int conn_fd);

/* Serves a connection to its end and closes it (takes). Blocks. */
void serve_connection(int conn_fd);

/* Call once in each process: the answer carries the pid. */
void serve_init(void);

#endif
