/*
 * calls.h - prints what a call did: result, errno by name, and what it wrote. Ports, pids and
 * inodes are replaced by words, so that two runs of one program can be compared byte by byte.
 */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern int port;           /* the one to bind */
extern const char *folder; /* for paths */

#define BAD ((void *)8) /* a pointer to nothing */
#define UNTOUCHED 0xee  /* what buffers hold before the call */

/* Prints "text = result errno" and gives the result back. The errno of success must be the one
 * before. */
long show(const char *text, long result);
#define SHOW(call) (errno = 0, show(#call, (long)(call)))

/* The same for a result that is known to differ; the reason is told in libsshim(7). */
#define DIFFERS(call) (putchar('~'), SHOW(call))

void show_address(const char *text, const void *addr, socklen_t len, socklen_t room);
void show_name(int fd);
void show_flags(int fd);

struct sockaddr_in inet_address(int number);
int inet_socket(void);
int inet_bound(void);
int inet_listener(void);

/* A client of the listener; poll until it can be accepted. */
int client_of(int fd);
void wait_readable(int fd);

void cases_names(void);
void cases_accept(void);
void cases_options(void);
void cases_files(void);
void cases_waits(void);
void cases_paths(void);
void cases_errors(void);

#endif
