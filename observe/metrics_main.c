/*
 * metrics_main.c - sshim-metrics: serves what a broker tells over HTTP. `sshim run --metrics`
 * starts it with a listening socket as descriptor 3 and a stream to the broker as descriptor 4; it
 * gives up all rights first, and ends with the broker. `sshim metrics` starts it with the control
 * path as its argument: then it prints /metrics once.
 *
 * The library has a thread for HTTP, which alone asks the broker; main() waits for the broker's
 * end.
 */
#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <linux/capability.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "observe/ask.h"
#include "observe/exposition.h"

#define LISTEN_FD 3
#define BROKER_FD 4
#define NOBODY 65534
#define EXIT_NO_ANSWER 3
#define ANSWER_S 5 /* the broker answers within one turn of its loop */
#define CONNECTIONS_MAX 64
#define IDLE_S 15
#define FILES_MAX 128

#define PLAIN "text/plain; charset=utf-8"
#define PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define JSON "application/json"

/* --- rights --- */

/* Another user where that is possible; no capability and no way to get one, no file grows. */
static bool drop_rights(void)
{
    const struct rlimit files = {FILES_MAX, FILES_MAX};
    const struct rlimit none = {0, 0};
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct no_rights[2] = {{0}};

    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_FSIZE, &none);
    setrlimit(RLIMIT_CORE, &none);
    for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        prctl(PR_CAPBSET_DROP, i, 0, 0, 0); /* EPERM: there is none to drop */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
                           setresuid(NOBODY, NOBODY, NOBODY) < 0))
        return false;
    return syscall(SYS_capset, &head, no_rights) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* --- HTTP --- */

struct answer {
    unsigned status;
    const char *type;
    char *body; /* malloc */
    size_t len;
};

static struct answer say(unsigned status, const char *text)
{
    char *body = strdup(text);
    return (struct answer){status, PLAIN, body, body ? strlen(body) : 0};
}

static struct answer give_metrics(const json_t *status, const char *text, size_t len)
{
    struct answer answer = {.status = MHD_HTTP_OK, .type = PROMETHEUS};

    (void)text;
    (void)len;
    answer.body = exposition_render(status, &answer.len);
    return answer;
}

static struct answer give_health(const json_t *status, const char *text, size_t len)
{
    (void)status;
    (void)text;
    (void)len;
    return say(MHD_HTTP_OK, "ok\n");
}

static struct answer give_readiness(const json_t *status, const char *text, size_t len)
{
    (void)text;
    (void)len;
    return json_is_true(json_object_get(status, "serving"))
               ? say(MHD_HTTP_OK, "ready\n")
               : say(MHD_HTTP_SERVICE_UNAVAILABLE, "not ready\n");
}

static struct answer give_status(const json_t *status, const char *text, size_t len)
{
    char *body = malloc(len);

    (void)status;
    if (body)
        memcpy(body, text, len);
    return (struct answer){MHD_HTTP_OK, JSON, body, body ? len : 0};
}

static const struct {
    const char *path;
    struct answer (*give)(const json_t *status, const char *text, size_t len);
} pages[] = {
    {"/metrics", give_metrics},
    {"/healthz", give_health},
    {"/readyz", give_readiness},
    {"/status.json", give_status},
};

static struct answer answer_path(const char *path)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        size_t len = 0;
        if (strcmp(path, pages[i].path) != 0)
            continue;
        char *text = ask_status_text(BROKER_FD, &len);
        json_t *status = text ? json_loadb(text, len, 0, NULL) : NULL;
        struct answer answer =
            status ? pages[i].give(status, text, len)
                   : say(MHD_HTTP_SERVICE_UNAVAILABLE, "the broker does not answer\n");
        json_decref(status);
        free(text);
        if (!status)
            shutdown(BROKER_FD, SHUT_RDWR); /* a late answer is not that of the next question */
        return answer;
    }
    return say(MHD_HTTP_NOT_FOUND, "here are /metrics, /healthz, /readyz and /status.json\n");
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_len, void **of_request)
{
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    static int seen; /* the library calls twice; the first time is too early to answer */

    (void)context;
    (void)version;
    (void)upload;
    if (reads && !*of_request) {
        *of_request = &seen;
        return MHD_YES;
    }
    if (*upload_len > 0) {
        *upload_len = 0;
        return MHD_YES;
    }
    struct answer answer =
        reads ? answer_path(path) : say(MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is served here\n");
    if (!answer.body)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer.len, answer.body, MHD_RESPMEM_MUST_FREE);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result queued = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return queued;
}

/* --- main --- */

static int fail(const char *what)
{
    fprintf(stderr, "sshim-metrics: cannot %s: %s\n", what, strerror(errno));
    return EXIT_FAILURE;
}

/* What a scrape would be given now. */
static int print_once(const char *control)
{
    size_t len = 0;
    int fd = ask_connect(control, ANSWER_S);
    char *text = fd >= 0 ? ask_status_text(fd, &len) : NULL;
    json_t *status = text ? json_loadb(text, len, 0, NULL) : NULL;
    char *metrics = status ? exposition_render(status, &len) : NULL;

    if (!metrics) {
        fprintf(stderr, "sshim: the broker at %s does not answer: %s\n", control,
                fd < 0 ? strerror(errno) : "no status came");
        return EXIT_NO_ANSWER;
    }
    bool is_written = fwrite(metrics, 1, len, stdout) == len && fflush(stdout) == 0;
    free(metrics);
    free(text);
    json_decref(status);
    return is_written ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct timeval limit = {.tv_sec = ANSWER_S};
    struct pollfd broker = {.fd = BROKER_FD};
    int type;
    socklen_t len = sizeof type;

    if (argc > 1)
        return print_once(argv[1]);
    if (getsockopt(LISTEN_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
        setsockopt(BROKER_FD, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) {
        fputs("sshim-metrics: this program is started by 'sshim run --metrics ADDR'\n", stderr);
        return EXIT_FAILURE;
    }
    if (!drop_rights())
        return fail("give up rights");
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which clears it */
    signal(SIGPIPE, SIG_IGN);
    struct MHD_Daemon *server = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL, MHD_OPTION_LISTEN_SOCKET,
        LISTEN_FD, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (!server)
        return fail("serve HTTP");
    while (poll(&broker, 1, -1) < 0 || !(broker.revents & (POLLHUP | POLLERR)))
        continue;
    MHD_stop_daemon(server);
    return EXIT_SUCCESS; /* the broker has closed its end, or starts us anew */
}
