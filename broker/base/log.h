/*
 * log.h - messages: lines "sshim: ..." on stderr. Never blocks: a line that a full pipe does not
 * take is dropped and counted, and the next line says how many were lost.
 */
#ifndef SSHIM_BROKER_BASE_LOG_H
#define SSHIM_BROKER_BASE_LOG_H

enum log_level { LOG_LEVEL_QUIET, LOG_LEVEL_NORMAL, LOG_LEVEL_VERBOSE };

/* Prefix of every line ("sshim" or "sshim web") and the level. Borrows name for ever. */
void log_init(const char *name, enum log_level level);

/* Something failed: cannot <verb> <object>: <reason>; <what the reader can do>. Always shown. */
__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);

/* News for an operator: shown unless -q. */
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);

/* Details for finding a fault: shown with -v. */
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);

#endif
