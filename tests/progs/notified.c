/*
 * notified.c - what a worker with a filter may do to the broker:
 *
 *   notified errors          prints what bind, listen and unlink say to senseless arguments, to be
 *                            compared with what they say natively
 *
 *   notified stuck SECONDS   binds an address in memory that is not there for so long; says when it
 *                            begins, and what bind said
 *
 *   notified storm SECONDS   processes and threads that end, execute and fork in the middle of bind
 *
 *   notified wild SECONDS    calls with arguments at random, over memory at random
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void say(const char *what, long result)
{
    printf("%s: %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "");
}

#define SAY(call) say(#call, (long)(call))

static long raw_bind(int fd, const void *address, unsigned long len)
{
    return syscall(SYS_bind, (long)fd, address, len);
}

static void print_errors(void)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_storage large = {.ss_family = AF_INET};
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    int other = socket(AF_INET6, SOCK_STREAM, 0);
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    int file = open("/dev/null", O_RDONLY);
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *edge = page + 4096 - 8;

    munmap(page + 4096, 4096);
    SAY(raw_bind(-1, &v4, sizeof v4));
    SAY(raw_bind(12345, &v4, sizeof v4));
    SAY(raw_bind(file, &v4, sizeof v4));
    SAY(raw_bind(stream, NULL, sizeof v4));
    SAY(raw_bind(stream, (void *)8, sizeof v4));
    SAY(raw_bind(stream, (void *)-4096L, sizeof v4));
    SAY(raw_bind(stream, edge, sizeof v4));
    SAY(raw_bind(stream, &v4, 0));
    SAY(raw_bind(stream, &v4, 1));
    SAY(raw_bind(stream, &v4, 2));
    SAY(raw_bind(stream, &v4, 15));
    SAY(raw_bind(stream, &large, 129));
    SAY(raw_bind(stream, &v4, (unsigned)-1));
    SAY(raw_bind(stream, &v6, sizeof v6));
    SAY(raw_bind(other, &v4, sizeof v4));
    SAY(raw_bind(other, &v6, 23));
    SAY(raw_bind(local, &v4, sizeof v4));
    SAY(raw_bind(local, &(struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "/proc/none"},
                 13));
    SAY(raw_bind(datagram, &v4, sizeof v4));
    SAY(raw_bind(datagram, &v4, sizeof v4));
    SAY(raw_bind(stream, &v4, sizeof v4));
    SAY(raw_bind(stream, &v4, sizeof v4));
    SAY(listen(-1, 1));
    SAY(listen(file, 1));
    SAY(listen(datagram, 1));
    SAY(listen(local, 1));
    SAY(listen(stream, -1));
    SAY(listen(stream, 1));
    SAY(unlink("/proc/none"));
    SAY(syscall(SYS_unlink, (void *)8));
    SAY(unlinkat(-1, "none", 0));
    SAY(unlinkat(file, "none", 0));
    SAY(unlinkat(AT_FDCWD, "/dev", 0));
    SAY(rmdir("/proc"));
}

/* --- stuck --- */

static int fault_fd;
static struct sockaddr_in *late_address;

/* Who touches the page waits for this, whatever process it is. */
static void *fill_later(void *seconds)
{
    static char page[4096] __attribute__((aligned(4096)));
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memcpy(page, &v4, sizeof v4);
    sleep((unsigned)(uintptr_t)seconds);
    struct uffdio_copy copy = {
        .dst = (uintptr_t)late_address, .src = (uintptr_t)page, .len = sizeof page};
    ioctl(fault_fd, UFFDIO_COPY, &copy);
    return NULL;
}

static void bind_what_is_late(unsigned seconds)
{
    struct uffdio_api api = {.api = UFFD_API};
    pthread_t thread;

    late_address = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(uintptr_t)late_address, 4096},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    fault_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (fault_fd < 0 || ioctl(fault_fd, UFFDIO_API, &api) < 0 ||
        ioctl(fault_fd, UFFDIO_REGISTER, &range) < 0) {
        perror("userfaultfd");
        exit(1);
    }
    pthread_create(&thread, NULL, fill_later, (void *)(uintptr_t)seconds);
    puts("begins");
    printf("ends %ld\n",
           raw_bind(socket(AF_INET, SOCK_STREAM, 0), late_address, sizeof *late_address));
    for (;;)
        pause();
}

/* --- storm --- */

static unsigned port;

static void *bind_again_and_again(void *unused)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    (void)unused;
    for (unsigned i = 0;; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        v4.sin_port = htons((uint16_t)(port + i % 4));
        if (bind(fd, (struct sockaddr *)&v4, sizeof v4) == 0)
            listen(fd, 1);
        close(fd);
    }
    return NULL;
}

static void run_victim(int kind, char **argv)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, bind_again_and_again, NULL);
    usleep((useconds_t)(random() % 3000));
    if (kind == 0)
        execv("/proc/self/exe", (char *[]){argv[0], NULL});
    if (kind == 1 && fork() == 0)
        _exit(0);
    if (kind == 2)
        abort();
    _exit(0);
}

static void storm(char **argv)
{
    time_t end = time(NULL) + atoi(argv[2]);

    port = (unsigned)(20000 + getpid() % 10000);
    signal(SIGABRT, SIG_DFL);
    for (int kind = 0; time(NULL) < end; kind++) {
        pid_t pid = fork();
        if (pid == 0)
            run_victim(kind % 4, argv);
        if (kind % 4 == 3) {
            usleep((useconds_t)(random() % 3000));
            kill(pid, SIGKILL);
        }
        waitpid(pid, NULL, 0);
    }
    puts("over");
}

/* --- wild --- */

static uint64_t pick(const uint64_t *from, size_t count)
{
    return random() % 8 ? from[(size_t)random() % count]
                        : (uint64_t)random() << 32 ^ (uint64_t)random();
}

/* A socket address of some family with noise in it, or a path to nowhere. */
static void fill_memory(char *memory, size_t size)
{
    static const sa_family_t families[] = {AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    sa_family_t family = families[(size_t)random() % 5];

    for (size_t i = 0; i < size; i++)
        memory[i] = (char)(random() % 3 ? 0 : random());
    if (random() % 2)
        memcpy(memory, &family, sizeof family);
    else
        memcpy(memory, "/proc/none/", 11);
}

static void call_wildly(time_t seconds)
{
    static const uint64_t numbers[] = {SYS_bind,   SYS_bind,     SYS_listen,
                                       SYS_unlink, SYS_unlinkat, 0x40000000 | SYS_bind};
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *edge = page + 4096 - random() % 40;
    uint64_t pointers[] = {(uintptr_t)page, (uintptr_t)edge, 0, 8, (uint64_t)-4096};
    uint64_t lengths[] = {0, 2, 3, 15, 16, 28, 110, 128, 129, UINT32_MAX, UINT64_MAX};
    time_t end = time(NULL) + seconds;

    munmap(page + 4096, 4096);
    for (unsigned long calls = 0;; calls++) {
        if (time(NULL) >= end) {
            printf("%lu calls\n", calls);
            return;
        }
        int kinds[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET6, SOCK_STREAM, 0),
                       socket(AF_UNIX, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0)};
        uint64_t fds[] = {(uint64_t)kinds[0],
                          (uint64_t)kinds[1],
                          (uint64_t)kinds[2],
                          (uint64_t)kinds[3],
                          0,
                          (uint64_t)AT_FDCWD,
                          1ull << 32 | (unsigned)kinds[0]};
        fill_memory(page, 4000);
        uint64_t number = numbers[(size_t)random() % 6];
        uint64_t first = number == SYS_unlink ? pick(pointers, 5) : pick(fds, 7);
        syscall((long)number, first, pick(pointers, 5), pick(lengths, 11));
        for (int i = 0; i < 4; i++)
            close(kinds[i]);
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "errors") == 0)
        print_errors();
    if (argc > 2 && strcmp(argv[1], "storm") == 0)
        storm(argv);
    if (argc > 2 && strcmp(argv[1], "wild") == 0)
        call_wildly(atoi(argv[2]));
    if (argc > 2 && strcmp(argv[1], "stuck") == 0)
        bind_what_is_late((unsigned)atoi(argv[2]));
    return 0;
}
