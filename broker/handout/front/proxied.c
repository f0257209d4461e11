/* proxied.c - see proxied.h. */
#include "broker/handout/front/proxied.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/loop/fds.h"
#include "broker/diagnose/sock_diag.h"
#include "proto/proxied.h"

#define TABLE_NAME "sshim-proxied"

static struct proxied_table *table;
static int reader_fd = -1;

/* A worker that could open it again for writing could lie to other workers: with another uid the
 * mode keeps it from that. Of a changed size it would kill who reads it. */
static int make(void)
{
    int fd = fds_make_memory(TABLE_NAME, PROXIED_SIZE, true);

    if (fd >= 0 && (fchmod(fd, S_IRUSR | S_IWUSR) < 0 ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)) {
        fds_close(fd);
        return -1;
    }
    return fd;
}

static bool is_table(int fd)
{
    struct stat info;

    return fd >= 0 && fstat(fd, &info) == 0 && info.st_size == (off_t)PROXIED_SIZE;
}

int proxied_begin(int (*map)(int fd))
{
    char path[32];
    int fd = map && journal_proxied_fd() >= 0 ? map(journal_proxied_fd()) : -1;

    if (!is_table(fd)) {
        fds_close(fd);
        journal_set_proxied_fd(-1); /* or the number would name another descriptor of ours */
        if (broker.config.accept_proxy.count == 0)
            return 0;
        fd = make();
    }
    if (fd < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    reader_fd = open(path, O_RDONLY | O_CLOEXEC);
    void *memory = mmap(NULL, PROXIED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (reader_fd < 0 || memory == MAP_FAILED)
        return -1;
    table = memory;
    journal_set_proxied_fd(fd);
    return 0;
}

int proxied_reader_fd(void)
{
    return reader_fd;
}

static struct proxied_end end_of(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    struct proxied_end end = {.family = address->ss_family, .port = in->sin_port};

    if (end.family == AF_INET)
        memcpy(end.host, &in->sin_addr, sizeof in->sin_addr);
    else
        memcpy(end.host, &in6->sin6_addr, sizeof in6->sin6_addr);
    return end;
}

static struct sockaddr_storage address_of(const struct proxied_end *end)
{
    struct sockaddr_storage address = {.ss_family = end->family};
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;

    in->sin_port = end->port; /* in the same place in both */
    if (end->family == AF_INET)
        memcpy(&in->sin_addr, end->host, sizeof in->sin_addr);
    else
        memcpy(&in6->sin6_addr, end->host, sizeof in6->sin6_addr);
    return address;
}

static_assert(sizeof(struct sock_diag_key) <= sizeof((struct proxied){0}.key), "it has room");

static bool is_closed(const struct proxied *place)
{
    struct sock_diag_key key;

    memcpy(&key, place->key, sizeof key);
    return sock_diag_ask(&key) == SOCK_DIAG_CLOSED;
}

/* A free place, else that of a closed connection, else the oldest one's: cookies are counted. */
static struct proxied *find_place(uint64_t cookie)
{
    struct proxied *set = table->at[cookie % PROXIED_SETS];
    struct proxied *oldest = &set[0];

    for (int i = 0; i < PROXIED_WAYS; i++)
        if (set[i].cookie < oldest->cookie)
            oldest = &set[i];
    if (oldest->cookie == 0 || is_closed(oldest))
        return oldest;
    for (int i = 0; i < PROXIED_WAYS; i++)
        if (&set[i] != oldest && is_closed(&set[i]))
            return &set[i];
    return oldest;
}

void proxied_note(const struct held *held, const struct sockaddr_storage *client,
                  const struct sockaddr_storage *destination)
{
    struct sock_diag_key key;

    if (!table || !sock_diag_identify(held->fd, &key))
        return;
    struct proxied *place = find_place(key.cookie);
    atomic_store_explicit(&place->cookie, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    place->client = end_of(client);
    place->destination = end_of(destination);
    memcpy(place->key, &key, sizeof key);
    atomic_store_explicit(&place->cookie, key.cookie, memory_order_release);
}

bool proxied_get(int fd, struct sockaddr_storage *client)
{
    struct proxied_end source, destination;
    uint64_t cookie;
    socklen_t len = sizeof cookie;

    if (!table || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) < 0 ||
        !proxied_find(table, cookie, &source, &destination))
        return false;
    *client = address_of(&source);
    return true;
}
