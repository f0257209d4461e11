/*
 * proxied.h - writes the table of proto/proxied.h: whose connections are. It survives the broker by
 * the journal. A connection's place is taken by another only after the connection was closed, or if
 * all eight places that it may have are of open ones.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_PROXIED_H
#define SSHIM_BROKER_HANDOUT_FRONT_PROXIED_H

#include <stdbool.h>
#include <sys/socket.h>

#include "broker/handout/front/held.h"

/* Makes the table, if the configuration has --accept-proxy and the broker before had none. map as
 * in survive/state_load.h; NULL: there was no broker before. 0, or -1 with the errno of
 * memfd_create(2), ftruncate(2), open(2) or mmap(2). */
int proxied_begin(int (*map)(int fd));

/* Notes whose the connection is. Its peer is the sender of the header still. */
void proxied_note(const struct held *held, const struct sockaddr_storage *client,
                  const struct sockaddr_storage *destination);

/* Whose it is. False: it is not noted. */
bool proxied_get(int fd, struct sockaddr_storage *client);

/* A descriptor of the table, for reading only, that workers get (keeps); -1: there is none. */
int proxied_reader_fd(void);

#endif
