/*
 * inherit.h - listening sockets that a service manager gives (LISTEN_FDS, sd_listen_fds(3)): each
 * is the canonical socket of its address before any worker asks for it. They are the manager's:
 * nothing here shuts one down, gives its address back or removes its file.
 */
#ifndef SSHIM_BROKER_SHARE_INHERIT_H
#define SSHIM_BROKER_SHARE_INHERIT_H

/* At the start of a new broker: takes descriptors 3 and up, if they are meant for this process.
 * Logs other descriptors than listening stream sockets and leaves them alone. */
void inherit_begin(void);

/* All workers are ready: logs, once, addresses for which no worker has asked. */
void inherit_review(void);

#endif
