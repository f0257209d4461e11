/*
 * rendezvous.h - the sockets at which a new broker is found: an abstract name for workers; beside
 * the control socket a file for servers that join and for `sshim`; the control socket itself, for
 * text; and that of --control-ro. One that goes on from another has them already.
 */
#ifndef SSHIM_BROKER_OPERATE_RENDEZVOUS_H
#define SSHIM_BROKER_OPERATE_RENDEZVOUS_H

#include <stdbool.h>

/*
 * Opens all and gives them to session_listen(). False after one line: another broker runs at
 * broker.control_path, or processes of one that was killed still serve, or a name cannot be had.
 */
bool rendezvous_open(void);

/* One that goes on from another: opens what that one did not have. */
void rendezvous_complete(void);

/* Removes the files. */
void rendezvous_close(void);

#endif
