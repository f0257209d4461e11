/* conn_line.h - the lines of --conn-log and where they go. None of them waits for a reader. */
#ifndef SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_LINE_H
#define SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/operate/tell/conn_log/conn_table.h"
#include "broker/pool/listener.h"
#include "proto/wire.h"

/* Opens what --conn-log names, in place of what is open. False with the errno of open(2): that
 * stays open. */
bool conn_line_open(void);
void conn_line_close(void);

/* Of a connection that is over after so long; -1: that is not known. */
void conn_line_tell(const struct conn_kept *conn, int64_t open_ms);

/* At once, of one whose end nobody tells us. */
void conn_line_tell_offer(const struct listener *listener, unsigned slot,
                          const struct wire_offer *offer, int64_t wait_ms);

/* Lines are written when there are many, or now. */
void conn_line_flush(void);

/* So many connections have no line, which the next one tells. */
void conn_line_drop(uint32_t count);

/* Lines that were not taken, or could not be made. */
uint64_t conn_line_dropped(void);

#endif
