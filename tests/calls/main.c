/* main.c - calls PORT FOLDER [GROUP]: runs the cases and prints a transcript. */
#include "calls.h"

int port;
const char *folder;

long show(const char *text, long result)
{
    printf("  %s = %ld %s\n", text, result, errno ? strerrorname_np(errno) : "-");
    return result;
}

static const char *port_word(int number)
{
    return number == 0          ? "0"
           : number == port     ? "PORT"
           : number == port + 1 ? "PORT+1"
           : number == port + 2 ? "PORT+2"
                                : "EPHEMERAL";
}

void show_address(const char *text, const void *addr, socklen_t len, socklen_t room)
{
    const struct sockaddr_in *in = addr;
    const struct sockaddr_in6 *in6 = addr;
    const struct sockaddr_un *un = addr;
    const unsigned char *bytes = addr;
    char host[INET6_ADDRSTRLEN];

    printf("  %s: length %u, ", text, len);
    if (room < len) {
        for (socklen_t i = 0; i < room && i < 2; i++)
            printf("%02x ", bytes[i]);
        printf("cut\n");
    } else if (in->sin_family == AF_INET) {
        printf("inet %s %s\n", inet_ntop(AF_INET, &in->sin_addr, host, sizeof host),
               port_word(ntohs(in->sin_port)));
    } else if (in->sin_family == AF_INET6) {
        printf("inet6 %s %s flow %u scope %u\n",
               inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host),
               port_word(ntohs(in6->sin6_port)), in6->sin6_flowinfo, in6->sin6_scope_id);
    } else if (in->sin_family == AF_UNIX) {
        size_t used = len - offsetof(struct sockaddr_un, sun_path);
        bool ours = strncmp(un->sun_path, folder, strlen(folder)) == 0;
        printf("unix %zu %s\n", used,
               used == 0         ? "-"
               : ours            ? un->sun_path + strlen(folder)
               : un->sun_path[0] ? un->sun_path
                                 : "@");
    } else {
        printf("family %d\n", in->sin_family);
    }
}

void show_name(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;

    memset(&name, UNTOUCHED, sizeof name);
    if (SHOW(getsockname(fd, (struct sockaddr *)&name, &len)) == 0)
        show_address("name", &name, len, sizeof name);
}

void show_flags(int fd)
{
    printf("  fd %d: flags %#x, status %#x\n", fd, (unsigned)fcntl(fd, F_GETFD),
           (unsigned)fcntl(fd, F_GETFL));
}

struct sockaddr_in inet_address(int number)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)number),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
    exit(9);
}

int inet_socket(void)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0, "socket");
    return fd;
}

int inet_bound(void)
{
    struct sockaddr_in addr = inet_address(port);
    int fd = inet_socket();
    must(bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0, "bind");
    return fd;
}

int inet_listener(void)
{
    int fd = inet_bound();
    must(listen(fd, 16) == 0, "listen");
    return fd;
}

int client_of(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    must(getsockname(fd, (struct sockaddr *)&name, &len) == 0, "getsockname");
    int client_fd = socket(name.ss_family, SOCK_STREAM, 0);
    must(connect(client_fd, (struct sockaddr *)&name, len) == 0, "connect");
    wait_readable(fd);
    return client_fd;
}

void wait_readable(int fd)
{
    must(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000) == 1, "nothing to accept");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } groups[] = {
        {"names", cases_names},   {"accept", cases_accept}, {"options", cases_options},
        {"files", cases_files},   {"waits", cases_waits},   {"paths", cases_paths},
        {"errors", cases_errors},
    };

    if (argc < 3) {
        fprintf(stderr, "usage: calls PORT FOLDER [GROUP]\n");
        return 2;
    }
    port = atoi(argv[1]);
    folder = argv[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (argc < 4 || strcmp(argv[3], groups[i].name) == 0)
            groups[i].run();
    return 0;
}
