/* victim_proc.c - servers that fork, exec, daemonise, change their root or their user. */
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "victim.h"

extern char **environ;
static char **our_argv;

static void exec_self(const char *mode, int port, const char *argument)
{
    char number[16];
    snprintf(number, sizeof number, "%d", port);
    char *const arguments[] = {"victim_proc", (char *)(uintptr_t)mode, number,
                               (char *)(uintptr_t)argument, NULL};
    execv("/proc/self/exe", arguments);
    fail("exec");
}

static void exec_with_fd(const char *mode, int port, int fd)
{
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    exec_self(mode, port, number);
}

/* --- the listener survives exec */

static void check_listener(int fd, int port, int listening)
{
    struct sockaddr_in name;
    socklen_t len = sizeof name;
    int value;

    MUST(getsockname(fd, (struct sockaddr *)&name, &len));
    CHECK(len == sizeof name && name.sin_family == AF_INET && ntohs(name.sin_port) == port);
    len = sizeof value;
    MUST(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len));
    CHECK(value == SOCK_STREAM);
    MUST(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
    CHECK(value == listening);
}

static void reexec(int port, const char *argument)
{
    (void)argument;
    exec_with_fd("inherited", port, make_listener(port));
}

static void inherited(int port, const char *argument)
{
    int fd = atoi(argument);
    check_listener(fd, port, 1);
    MUST(listen(fd, 10));
    serve(fd);
}

static void accept_inherited(int port, const char *argument)
{
    (void)port;
    serve(atoi(argument));
}

static void reexec_accept(int port, const char *argument)
{
    (void)argument;
    exec_with_fd("accept-inherited", port, make_listener(port));
}

static void reexec_bound(int port, const char *argument)
{
    (void)argument;
    exec_with_fd("inherited-bound", port, make_bound(port));
}

static void inherited_bound(int port, const char *argument)
{
    int fd = atoi(argument);
    check_listener(fd, port, 0);
    MUST(listen(fd, 10));
    check_listener(fd, port, 1);
    serve(fd);
}

/* A listener that is closed on exec must be gone, and can be made anew. */
static void reexec_cloexec(int port, const char *argument)
{
    (void)argument;
    MUST(fcntl(make_listener(port), F_SETFD, FD_CLOEXEC));
    exec_self("plain", port, NULL);
}

/* The text ends with its page, behind which nothing can be read. */
static char *at_page_end(const char *text, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    return memcpy(pages + page - len, text, len);
}

/* Environments that cannot be read: EFAULT, as the kernel. One that can just so is completed. */
static void exec_bad_environment(int port, const char *argument)
{
    char *const arguments[] = {"sh", "-c", "exec test -n \"$SSHIM_BROKER\" -a \"$A\" = 1", NULL};
    char *const no_string[] = {"A=1", (char *)8, NULL};
    char *const no_end[] = {at_page_end("SSHIM_BR", sizeof "SSHIM_BR" - 1), NULL};
    char *const fits[] = {at_page_end("A=1", sizeof "A=1"), NULL};
    char **volatile no_list = (char **)8; /* the compiler is not to know it */
    int fd = make_listener(port);
    int status;

    (void)argument;
    CHECK(execve("/bin/sh", arguments, no_list) < 0 && errno == EFAULT);
    CHECK(execve("/bin/sh", arguments, no_string) < 0 && errno == EFAULT);
    CHECK(execve("/bin/sh", arguments, no_end) < 0 && errno == EFAULT);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        execve("/bin/sh", arguments, fits);
        fail("execve");
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    serve(fd);
}

static void plain(int port, const char *argument)
{
    (void)argument;
    for (int fd = 3; fd < 2000; fd++) {
        int value = 0;
        socklen_t len = sizeof value;
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len) == 0)
            CHECK(value == AF_UNIX); /* what the test itself left open */
    }
    serve(make_listener(port));
}

/* The parent binds, each child of it listens and serves after an exec (sshd, inetd). */
static void exec_in_child(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    for (int i = 0; i < 2; i++)
        if (MUST(fork()) == 0)
            exec_with_fd("accept-inherited", port, fd);
    close(fd);
    while (wait(NULL) > 0)
        ;
}

/* --- passed to another process */

static void send_fd(int socket_fd, int fd)
{
    char control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    MUST(sendmsg(socket_fd, &message, 0));
}

static int receive_fd(int socket_fd)
{
    char control[CMSG_SPACE(sizeof(int))];
    char byte;
    int fd;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    MUST(recvmsg(socket_fd, &message, 0));
    CHECK(CMSG_FIRSTHDR(&message));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static void passed(int port, const char *argument)
{
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        close(pair[0]);
        if (argument && strcmp(argument, "exec") == 0)
            exec_with_fd("receive", port, pair[1]);
        int fd = receive_fd(pair[1]);
        check_listener(fd, port, 1);
        serve(fd);
    }
    close(pair[1]);
    int fd = make_listener(port);
    send_fd(pair[0], fd);
    MUST(close(fd));
    waitpid(pid, NULL, 0);
}

static void receive(int port, const char *argument)
{
    int fd = receive_fd(atoi(argument));
    check_listener(fd, port, 1);
    MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
    serve(fd);
}

/* Socket activation: a launcher opens the listener, the server finds it on fd 3. */
static void activate(int port, const char *argument)
{
    char pid[16];
    (void)argument;
    int fd = make_listener(port);
    if (fd != 3) {
        MUST(dup2(fd, 3));
        MUST(close(fd));
    }
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", pid, 1);
    exec_self("activated", port, NULL);
}

static void activated(int port, const char *argument)
{
    (void)argument;
    CHECK(atoi(getenv("LISTEN_PID")) == getpid() && atoi(getenv("LISTEN_FDS")) == 1);
    check_listener(3, port, 1);
    MUST(fcntl(3, F_SETFD, FD_CLOEXEC));
    serve(3);
}

/* --- the process changes */

/* Writes its title over arguments and environment, then forgets the environment. */
static void write_title(char slot[16])
{
    char *end = our_argv[0];
    snprintf(slot, 16, "%s", slot_name());
    for (char **text = our_argv; *text; text++)
        end = *text + strlen(*text);
    for (char **text = environ; *text; text++)
        if (*text == end + 1)
            end = *text + strlen(*text);
    static char *empty[] = {NULL};
    environ = empty;
    memset(our_argv[0], 'x', (size_t)(end - our_argv[0]));
}

static void serve_as(int fd, const char *slot)
{
    struct sockaddr_storage peer;
    for (;;)
        answer_as(MUST(accept_one(fd, &peer)), &peer, slot);
}

static void set_title(int port, const char *argument)
{
    char slot[16];
    (void)argument;
    write_title(slot);
    serve_as(make_listener(port), slot);
}

static void daemonise(void);

static void title_daemon(int port, const char *argument)
{
    char slot[16];
    (void)argument;
    write_title(slot);
    daemonise();
    serve_as(make_listener(port), slot);
}

/* A child that outlives us: it has neither an environment nor a listener. Its pid goes into the
 * file. */
static void title_child(int port, const char *argument)
{
    char slot[16];
    char path[128];
    int fd = make_listener(port);
    snprintf(path, sizeof path, "%s.%s", argument, slot_name());
    write_title(slot);
    if (MUST(fork()) == 0) {
        MUST(setsid());
        closefrom(0);
        FILE *file = fopen(path, "w");
        CHECK(file && fprintf(file, "%d\n", (int)getpid()) > 0 && fclose(file) == 0);
        for (;;)
            pause();
    }
    serve_as(fd, slot);
}

static void change_root(const char *folder)
{
    MUST(chroot(folder));
    MUST(chdir("/"));
    CHECK(access("/proc/self/fd", F_OK) < 0);
}

static void change_user(void)
{
    MUST(setgroups(0, NULL));
    MUST(setgid(65534));
    MUST(setuid(65534));
}

static void jail(int port, const char *when, void (*enter)(const char *), const char *folder)
{
    if (strcmp(when, "before") == 0)
        enter(folder);
    int fd = make_bound(port);
    if (strcmp(when, "between") == 0)
        enter(folder);
    MUST(listen(fd, 64));
    if (strcmp(when, "after") == 0)
        enter(folder);
    MUST(listen(fd, 65));
    check_listener(fd, port, 1);
    MUST(shutdown(fd, SHUT_RD));
    MUST(listen(fd, 64));
    serve(fd);
}

static void enter_root(const char *folder)
{
    change_root(folder);
}

static void enter_user(const char *folder)
{
    (void)folder;
    change_user();
}

static void enter_both(const char *folder)
{
    change_root(folder);
    change_user();
}

/* The argument is WHEN:FOLDER. */
static void jailed(int port, const char *argument, void (*enter)(const char *))
{
    char when[16];
    CHECK(sscanf(argument, "%15[^:]", when) == 1);
    jail(port, when, enter, strchr(argument, ':') + 1);
}

static void in_chroot(int port, const char *argument)
{
    jailed(port, argument, enter_root);
}

static void as_user(int port, const char *argument)
{
    jailed(port, argument, enter_user);
}

static void in_both(int port, const char *argument)
{
    jailed(port, argument, enter_both);
}

static void daemonise(void)
{
    if (MUST(fork()) > 0)
        _exit(0);
    MUST(setsid());
    if (MUST(fork()) > 0)
        _exit(0);
}

static void daemon_before(int port, const char *argument)
{
    (void)argument;
    daemonise();
    serve(make_listener(port));
}

static void daemon_after(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    daemonise();
    serve(fd);
}

static void daemon_between(int port, const char *argument)
{
    int fd = make_bound(port);
    (void)argument;
    MUST(daemon(1, 1));
    MUST(listen(fd, 64));
    serve(fd);
}

static void await_refusal(const struct sockaddr_in *name)
{
    int result = 0;

    for (int tries = 0; tries < 1000 && result == 0; tries++) {
        int client_fd = make_socket();
        result = connect(client_fd, (const struct sockaddr *)name, sizeof *name);
        CHECK(result == 0 || errno == ECONNREFUSED);
        close(client_fd);
        usleep(tries ? 20000 : 0);
    }
    CHECK(result < 0);
}

/* Children that share our memory, but not our files, put something else on the numbers of the
 * listener, of what may be hidden and of what is free: nothing of ours changes, and the listener
 * that we close is closed. */
static void vfork_dup(int port, const char *argument)
{
    int fd = make_listener(port);
    int file_fd = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
    struct sockaddr_in name = loopback(port);
    int status;
    (void)argument;
    for (volatile int way = 0; way < 4; way++) {
        pid_t pid = vfork();
        if (pid == 0) {
            if (way == 0)
                dup2(file_fd, fd);
            else if (way == 1)
                dup3(fd, file_fd, O_CLOEXEC);
            else if (way == 2)
                for (int i = 900; i < 1100; i++)
                    dup2(file_fd, i);
            else
                dup(fd);
            fcntl(fd, F_SETFL, O_NONBLOCK);
            _exit(0);
        }
        MUST(waitpid(pid, &status, 0));
        check_listener(fd, port, 1);
    }
    MUST(close(fd));
    await_refusal(&name); /* at once, unless the machine is very busy */
    serve(make_listener(port));
}

/* A child that shares our memory, but not our files, closes all it has, in every way. */
static void vfork_children(int port, const char *argument)
{
    int fd = make_listener(port);
    int status;
    (void)argument;
    for (volatile int way = 0; way < 4; way++) {
        pid_t pid = vfork();
        if (pid == 0) {
            if (way == 0)
                for (int i = 3; i < 1100; i++)
                    close(i);
            else if (way == 1)
                close_range(3, ~0U, 0);
            else if (way == 2)
                closefrom(3);
            else {
                dup2(2, fd);
                fcntl(fd, F_SETFL, O_APPEND);
                close(fd);
            }
            execl("/bin/true", "true", (char *)NULL);
            _exit(9);
        }
        MUST(waitpid(pid, &status, 0));
        CHECK(status == 0);
    }
    CHECK(system("exec 3<&- 4<&- 5<&-; true") == 0);
    serve(fd);
}

/* Workers of its own on one listener, one of which dies and is replaced. */
static void prefork(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    for (int i = 0; i < 4; i++) {
        pid_t pid = MUST(fork());
        if (pid == 0 && i > 0)
            serve(fd);
        if (pid == 0)
            _exit(0);
    }
    while (wait(NULL) > 0)
        if (MUST(fork()) == 0)
            serve(fd);
}

/* inetd: a program per connection, on 0, 1 and 2; the child's end interrupts accept. */
static void on_child(int number)
{
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static void exec_per_connection(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int fd = make_listener(port);
    (void)argument;
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = on_child}, NULL);
    for (;;) {
        char name[16];
        int conn_fd = accept_one(fd, &peer);
        if (conn_fd < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        if (MUST(fork()) == 0) {
            for (int i = 0; i < 3; i++)
                MUST(dup2(conn_fd, i));
            closefrom(3);
            snprintf(name, sizeof name, "%d", port_of(&peer));
            setenv("PEER_PORT", name, 1);
            execl("/bin/sh", "sh", "-c", "read line; echo $SSHIM_WORKER_ID $PEER_PORT ok",
                  (char *)NULL);
            _exit(9);
        }
        close(conn_fd);
    }
}

static const struct victim_mode modes[] = {
    {"reexec", reexec},
    {"inherited", inherited},
    {"reexec-accept", reexec_accept},
    {"accept-inherited", accept_inherited},
    {"reexec-bound", reexec_bound},
    {"inherited-bound", inherited_bound},
    {"reexec-cloexec", reexec_cloexec},
    {"plain", plain},
    {"exec-bad-environment", exec_bad_environment},
    {"exec-in-child", exec_in_child},
    {"passed", passed},
    {"receive", receive},
    {"activate", activate},
    {"activated", activated},
    {"title", set_title},
    {"title-daemon", title_daemon},
    {"title-child", title_child},
    {"chroot", in_chroot},
    {"setuid", as_user},
    {"jail", in_both},
    {"daemon-before", daemon_before},
    {"daemon-after", daemon_after},
    {"daemon-between", daemon_between},
    {"vfork", vfork_children},
    {"vfork-dup", vfork_dup},
    {"prefork", prefork},
    {"exec-per-connection", exec_per_connection},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    our_argv = argv;
    return run_mode(modes, argc, argv);
}
