/*
 * ring.h - the last events, a line each with a number, in memory that survives the broker: the next
 * one goes on with the numbers. A broker may be killed between any two instructions: a line counts
 * once its number is written.
 */
#ifndef SSHIM_BROKER_BASE_LOG_RING_H
#define SSHIM_BROKER_BASE_LOG_RING_H

#include <stddef.h>
#include <stdint.h>

#define RING_LINES 128
#define RING_LINE_SIZE 1016 /* with the zero at its end */

/* Makes the memory, or maps that of the broker before (takes fd; -1: none). What goes wrong costs
 * the history alone: then there are no lines. */
void ring_open(int fd);

/* The memory's fd, to pass it on (keeps); 0: there is none. */
int ring_fd(void);

/* The number of the next line, from 1 on. */
uint64_t ring_next(void);

/* Adds a line, which may be at most RING_LINE_SIZE - 1 bytes. */
void ring_add(const char *line, size_t len);

/*
 * Copies the line with the lowest number from `from` on, and gives that number, which is higher if
 * lines were overwritten. 0: there is none.
 */
uint64_t ring_get(uint64_t from, char line[RING_LINE_SIZE]);

#endif
