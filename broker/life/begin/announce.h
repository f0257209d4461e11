/* announce.h - what the operator hears when the instance is ready: a line, and --ready-fd. */
#ifndef SSHIM_BROKER_LIFE_BEGIN_ANNOUNCE_H
#define SSHIM_BROKER_LIFE_BEGIN_ANNOUNCE_H

/* So many workers are ready: logs it, with the addresses, and writes to --ready-fd. */
void announce_ready(unsigned ready);

/* Writes a newline to --ready-fd and closes it; the second time does nothing. */
void announce_ready_fd(void);

#endif
