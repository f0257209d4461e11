/*
 * proxy_header.h - reads the header of the PROXY protocol, versions 1 and 2, as HAProxy's
 * proxy-protocol.txt describes it; "2.1" and "2.2" below are its sections. Pure functions.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_PROXY_HEADER_H
#define SSHIM_BROKER_HANDOUT_FRONT_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/base/config.h"

#define PROXY_HEADER_V1_MAX 107  /* with its CRLF: 2.1 */
#define PROXY_HEADER_V2_MAX 4096 /* with its TLVs; the format has room for 65,551 bytes */
#define PROXY_HEADER_MAX PROXY_HEADER_V2_MAX

enum proxy_verdict {
    PROXY_INCOMPLETE, /* so far it may become one */
    PROXY_COMPLETE,
    PROXY_INVALID, /* it is none, whatever follows; see fault */
};

struct proxy_header {
    size_t len; /* COMPLETE: its bytes. INCOMPLETE: it has at least as many */
    /* Whether it tells the ends of a TCP connection. Else the ends are those of the connection
     * itself: LOCAL, UNKNOWN, UNSPEC, UNIX, and UDP. */
    bool has_ends;
    struct sockaddr_storage source, destination;
    const char *fault; /* INVALID: what is wrong with it */
};

/*
 * Reads the first bytes of a connection. version: which are accepted. The verdict does not depend
 * on how the bytes were split: once it is not INCOMPLETE, more bytes do not change it.
 */
enum proxy_verdict proxy_header_read(const uint8_t *bytes, size_t len,
                                     enum config_accept_proxy version, struct proxy_header *header);

#endif
