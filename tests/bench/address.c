/* address.c - see address.h. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int parse_unix(const char *path, struct bench_address *address)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&address->sockaddr;
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof name->sun_path)
        return -1;
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, len + 1);
    address->len_bytes = sizeof *name;
    if (path[0] == '@') {
        name->sun_path[0] = '\0';
        address->len_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    }
    return 0;
}

static int parse_ipv6(const char *host, int port, struct bench_address *address)
{
    struct sockaddr_in6 *name = (struct sockaddr_in6 *)&address->sockaddr;

    name->sin6_family = AF_INET6;
    name->sin6_port = htons((uint16_t)port);
    address->len_bytes = sizeof *name;
    return inet_pton(AF_INET6, host, &name->sin6_addr) == 1 ? 0 : -1;
}

static int parse_ipv4(const char *host, int port, struct bench_address *address)
{
    struct sockaddr_in *name = (struct sockaddr_in *)&address->sockaddr;

    name->sin_family = AF_INET;
    name->sin_port = htons((uint16_t)port);
    address->len_bytes = sizeof *name;
    return inet_pton(AF_INET, host, &name->sin_addr) == 1 ? 0 : -1;
}

int bench_address_parse(const char *text, struct bench_address *address)
{
    char host[64] = "127.0.0.1";
    const char *colon = strrchr(text, ':');
    const char *port_text = colon ? colon + 1 : text;
    char *end;

    *address = (struct bench_address){0};
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, address);
    long port = strtol(port_text, &end, 10);
    if (*port_text == '\0' || *end != '\0' || port < 1 || port > 65535)
        return -1;
    if (colon && (size_t)(colon - text) < sizeof host)
        snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    size_t len = strlen(host);
    if (host[0] != '[')
        return parse_ipv4(host, (int)port, address);
    if (host[len - 1] != ']')
        return -1;
    host[len - 1] = '\0';
    return parse_ipv6(host + 1, (int)port, address);
}
