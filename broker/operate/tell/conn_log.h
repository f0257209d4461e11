/*
 * conn_log.h - --conn-log: a line for each connection that a worker got, once it is over.
 *
 * The broker does not see a connection's end. It asks the kernel whether a process still has the
 * connection: after 10 ms, then at intervals of an eighth of the connection's age, at most every
 * ten seconds. When many are due it asks each 100 ms, with one list for all of a listener if that
 * costs less than a question for each. No more than a tenth of the time goes into that; under more
 * load lines come later.
 * What the kernel cannot be asked of (AF_UNIX, other network namespaces) has its line at once.
 *
 * Lines go through a sink (base/log/sink.h): none of them waits for a reader.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_CONN_LOG_H
#define SSHIM_BROKER_OPERATE_TELL_CONN_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the configuration asks for it. */
bool conn_log_is_on(void);

/* Opens the file anew. False with the errno of open(2): it goes on with the old one. */
bool conn_log_reopen(void);

/* The listeners of the broker before are there, if there was one: makes the table, or takes that of
 * runtime.connections_fd. Then each connection that is handed out has its line. Without --conn-log
 * that table is given up. What goes wrong is told in one line, and costs the lines alone. */
void conn_log_begin(void);

/* The option has changed. Connections that are open when it ends have a line at once. What goes
 * wrong is told in one line. */
void conn_log_reread(bool was_on);

/* The broker ends: a line for all that have none yet. */
void conn_log_finish(void);

#endif
