/*
 * conn_reading.h - when the notes of workers are read: 200 ms after the first one, and as soon as
 * they are many. While nobody writes any, nothing here wakes up.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_READING_H
#define SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_READING_H

#include <stdbool.h>
#include <stdint.h>

/* The table of connections is there. on_read is called when notes have been read. is_new: what was
 * noted before is of no use. */
void conn_reading_begin(bool is_new, void (*on_read)(int64_t now_ms));

/* Reads what is there, but no more than is good for one turn. */
void conn_reading_look(int64_t now_ms);

/* Reads what is there, and workers note no more. */
void conn_reading_end(int64_t now_ms);

#endif
