/* meant.h - the address that an operator has put in the place of the one that a server asks for:
 * --port, and --unshared PORT+{id}. */
#ifndef SSHIM_BROKER_SHARE_CLAIM_MEANT_H
#define SSHIM_BROKER_SHARE_CLAIM_MEANT_H

#include "broker/base/address.h"
#include "broker/pool/socket_key.h"
#include "broker/pool/worker.h"

enum meant {
    MEANT_AS_ASKED,
    MEANT_ANOTHER, /* the address was changed; it is shared, whenever it is asked for */
    MEANT_NONE     /* there is no such address: EADDRNOTAVAIL */
};

/* Of a bind(2) by this worker; key: of its socket. Logs once why a rule gives none. */
enum meant meant_address(struct worker *worker, const struct socket_key *key,
                         struct address *address);

#endif
