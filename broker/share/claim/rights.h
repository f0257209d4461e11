/*
 * rights.h - limits what the broker binds for a worker of another user: a broker of root could bind
 * any port for it, and one worker could take all names.
 */
#ifndef SSHIM_BROKER_SHARE_CLAIM_RIGHTS_H
#define SSHIM_BROKER_SHARE_CLAIM_RIGHTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/base/address.h"
#include "broker/pool/worker.h"

/*
 * Whether a worker that asks as this user may bind the address by the broker's rights. Where no
 * right is needed, always. A low port only if the pool has had it before, or has not served yet, or
 * is_named: --share names it.
 */
bool rights_may_bind(uid_t asker_uid, const struct address *address, bool is_named);

/* Whether there is room for one more name of this worker: a worker of another user may have no more
 * for itself alone than are left for all others. */
bool rights_has_room(uid_t asker_uid, const struct worker *worker);

#endif
