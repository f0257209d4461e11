/*
 * broker_socket.h - connections to a broker that may live: by its control socket, and where a
 * service manager has removed that file with its folder, by the abstract name that the workers use.
 */
#ifndef SSHIM_BROKER_CLI_BROKER_SOCKET_H
#define SSHIM_BROKER_CLI_BROKER_SOCKET_H

#include <stdbool.h>

/* An abstract name is this, a random number, ':' and the control path, which may be cut. */
#define BROKER_SOCKET_PREFIX "sshim:"
#define BROKER_SOCKET_DEADLINE_S 10 /* a broker that lives answers within milliseconds */

/* Connects; the caller closes. Each send and receive then has 10 s (EAGAIN after that). -1 with the
 * errno of connect(2), or EPERM: the listening process is neither root's, nor ours, nor (for root)
 * that of the folder's owner. */
int broker_socket_connect(const char *control_path);

/* The same by the abstract name alone. -1: no broker of this path can be reached so. */
int broker_socket_connect_abstract(const char *control_path);

/*
 * Whether a broker lives at this control path: 1 yes, 0 no, -1 with the errno of
 * broker_socket_connect() when that cannot be told.
 */
int broker_socket_probe(const char *control_path);

/* Visits each broker of this control path (NULL: of any) in our network namespace that is believed:
 * a connection (takes it where it
 * returns true, which ends the visits, else borrows) and its control path. Returns whether one did.
 */
typedef bool broker_socket_visitor(int fd, const char *control_path, void *context);
bool broker_socket_each_abstract(const char *control_path, broker_socket_visitor *visit,
                                 void *context);

#endif
