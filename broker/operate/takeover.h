/*
 * takeover.h - from one broker process to another: a broker that was resumed after a crash
 * (resume.h) gives everything it has to the next `sshim run` of the same name, and ends.
 */
#ifndef SSHIM_BROKER_OPERATE_TAKEOVER_H
#define SSHIM_BROKER_OPERATE_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/pool/session/session.h"

/* The old one: sends everything to one that reads this format of snapshots (snapshot.h); does not
 * return when that worked. False: the session is over, we go on. */
bool takeover_give(struct session *session, uint32_t format);

/*
 * The new one: asks the broker at this control path. True: everything is here, resume_load() builds
 * it up. False: it refused, since its parent watches it.
 */
bool takeover_receive(const char *control_path);

#endif
