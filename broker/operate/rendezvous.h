/*
 * rendezvous.h - the two sockets at which a new broker is found: an abstract name for workers, a
 * file for operators and for servers that join. One that goes on from another has them already.
 */
#ifndef SSHIM_BROKER_OPERATE_RENDEZVOUS_H
#define SSHIM_BROKER_OPERATE_RENDEZVOUS_H

#include <stdbool.h>

/*
 * Opens both and gives them to session_listen(). False after one line: another broker runs at
 * broker.control_path, or processes of one that was killed still serve, or a name cannot be had.
 */
bool rendezvous_open(void);

#endif
