/*
 * rendezvous.h - the sockets at which a new broker is found: an abstract name for workers; the file
 * PATH.link for joiners and for `sshim`; the control socket, for text; and that of --control-ro. A
 * broker that resumes has them already.
 */
#ifndef SSHIM_BROKER_OPERATE_RENDEZVOUS_H
#define SSHIM_BROKER_OPERATE_RENDEZVOUS_H

#include <stdbool.h>

/*
 * Opens all and gives them to session_listen(). False after one line: another broker runs at
 * broker.control_path, or processes of one that was killed still serve, or a name cannot be had.
 */
bool rendezvous_open(void);

/* Whether the group of --control-ro, if there is one, exists. False after one line. */
bool rendezvous_knows_group(void);

/* A broker that resumes: opens the sockets that the last broker did not have. */
void rendezvous_complete(void);

/* Removes the files. */
void rendezvous_close(void);

#endif
