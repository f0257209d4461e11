/* address.h - addresses on the command line: PORT, IPV4:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME.
 */
#ifndef SSHIM_BENCH_ADDRESS_H
#define SSHIM_BENCH_ADDRESS_H

#include <sys/socket.h>

struct bench_address {
    struct sockaddr_storage sockaddr;
    socklen_t len_bytes;
};

/* 0, or -1 when the text is no such address. A bare port is one of 127.0.0.1. */
int bench_address_parse(const char *text, struct bench_address *address);

#endif
