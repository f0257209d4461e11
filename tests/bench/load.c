/*
 * load.c - the load program: opens connections by schedule (open loop: latency counts from the
 * scheduled moment, so that a slow server cannot hide behind the requests it holds up) or keeps K
 * of them going (closed loop), counts how each one ended and prints one JSON document.
 */
#include "load.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define OUTSTANDING_MAX 60000 /* open loop: more are not started and counted as unsent */
#define BATCH 256

struct load_options options = {.clients = 1, .seconds = 1, .timeout_ms = 5000, .mix = "f1"};
struct load_counts counts;

static struct conn_queue free_conns = TAILQ_HEAD_INITIALIZER(free_conns);
static int in_use, made;
static uint64_t begun_ns, end_ns;
static uint64_t random_state;
static volatile sig_atomic_t stopped;

uint64_t load_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* splitmix64: the same seed gives the same work to every side. */
uint64_t load_random(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

bool load_goes_on(void)
{
    return !stopped && load_now_ns() < end_ns &&
           (options.limit == 0 || counts.started < options.limit);
}

void load_on_free(struct conn *conn)
{
    in_use--;
    TAILQ_INSERT_TAIL(&free_conns, conn, by_deadline);
}

static struct conn *take_conn(void)
{
    struct conn *conn = TAILQ_FIRST(&free_conns);

    if (conn) {
        TAILQ_REMOVE(&free_conns, conn, by_deadline);
    } else {
        if (made >= OUTSTANDING_MAX || !(conn = calloc(1, sizeof *conn)))
            return NULL;
        made++;
        conn->fd = -1;
    }
    in_use++;
    return conn;
}

/* --- schedule ----------------------------------------------------------------------------------
 */

static uint64_t next_arrival_ns;

static void draw_arrival(void)
{
    double share = ((double)(load_random() >> 11) + 0.5) / (double)(UINT64_C(1) << 53);
    next_arrival_ns += (uint64_t)(-log(share) / options.rate * 1e9);
}

static void start_arrivals(void)
{
    while (load_goes_on() && next_arrival_ns <= load_now_ns()) {
        struct conn *conn = take_conn();
        if (conn)
            conn_start(conn, next_arrival_ns);
        else
            counts.unsent++;
        draw_arrival();
    }
}

/* Clients that are allowed by now: they come one by one when a ramp was asked for. */
static int clients_allowed(uint64_t now)
{
    if (options.ramp_us == 0)
        return options.clients;
    uint64_t allowed = 1 + (now - begun_ns) / ((uint64_t)options.ramp_us * 1000);
    return allowed < (uint64_t)options.clients ? (int)allowed : options.clients;
}

static void start_clients(void)
{
    int rounds = BATCH; /* connections that end at once must not keep us from the others */

    while (rounds-- > 0 && in_use < clients_allowed(load_now_ns()) && load_goes_on())
        conn_start(take_conn(), load_now_ns());
}

static void start_what_is_due(void)
{
    if (options.rate > 0)
        start_arrivals();
    else
        start_clients();
}

static uint64_t next_start_ns(uint64_t now)
{
    if (!load_goes_on())
        return UINT64_MAX;
    if (options.rate > 0)
        return next_arrival_ns;
    if (in_use < clients_allowed(now))
        return now;
    return in_use < options.clients ? now + (uint64_t)options.ramp_us * 1000 : UINT64_MAX;
}

static int wait_until(int epoll_fd, struct epoll_event *events, uint64_t until_ns)
{
    uint64_t now = load_now_ns();
    uint64_t rest = until_ns > now ? until_ns - now : 0;

    if (load_goes_on() && rest > end_ns - now)
        rest = end_ns - now;
    if (rest > 100000000)
        rest = 100000000;
    struct timespec timeout = {(time_t)(rest / 1000000000), (long)(rest % 1000000000)};
    return epoll_pwait2(epoll_fd, events, BATCH, &timeout, NULL);
}

static void run(int epoll_fd)
{
    struct epoll_event events[BATCH];

    begun_ns = next_arrival_ns = counts.last_right_ns = load_now_ns();
    end_ns = begun_ns + (uint64_t)(options.seconds * 1e9);
    if (options.rate > 0)
        draw_arrival();
    for (;;) {
        start_what_is_due();
        bool goes_on = load_goes_on();
        uint64_t now = load_now_ns();
        bool over = stopped || now >= end_ns;
        if (over)
            conn_release_held();
        uint64_t deadline = conn_expire(now, over);
        if (!goes_on && in_use == 0)
            return;
        uint64_t start = next_start_ns(now);
        int count = wait_until(epoll_fd, events, start < deadline ? start : deadline);
        for (int i = 0; i < count; i++)
            conn_on_ready(events[i].data.ptr, events[i].events);
    }
}

/* --- report ------------------------------------------------------------------------------------
 */

static void print_latency(const char *name, const struct histogram *histogram)
{
    double us = 1e-3;

    printf("\"%s\":{\"count\":%llu,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p95\":%.1f,"
           "\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}",
           name, (unsigned long long)histogram->count,
           histogram->count ? us * (double)histogram->sum_ns / (double)histogram->count : 0,
           us * (double)histogram_quantile_ns(histogram, 0.50),
           us * (double)histogram_quantile_ns(histogram, 0.90),
           us * (double)histogram_quantile_ns(histogram, 0.95),
           us * (double)histogram_quantile_ns(histogram, 0.99),
           us * (double)histogram_quantile_ns(histogram, 0.999), us * (double)histogram->max_ns);
}

static void print_latencies(void)
{
    printf(",\"latency_us\":{");
    print_latency("all", &counts.all);
    for (int type = 'A'; type <= 'z'; type++) {
        char name[2] = {(char)type, '\0'};
        if (counts.by_type[type].count == 0)
            continue;
        printf(",");
        print_latency(name, &counts.by_type[type]);
    }
    printf("}");
}

static void print_workers(void)
{
    const char *separator = "";

    printf(",\"workers\":{");
    for (unsigned i = 0; i < 1 << 16; i++) {
        if (counts.by_worker[i] == 0)
            continue;
        printf("%s\"%04x\":%u", separator, i, counts.by_worker[i]);
        separator = ",";
    }
    printf("}");
}

static void print_report(void)
{
    static const char *const names[] = {
#define X(name, text) text,
        LOAD_OUTCOMES(X)
#undef X
    };
    uint64_t now = load_now_ns();
    uint64_t schedule_end = stopped || options.limit || now < end_ns ? now : end_ns;
    uint64_t in_time =
        options.limit || stopped ? counts.outcomes[LOAD_RIGHT] : counts.right_in_time;
    double seconds = (double)(schedule_end - begun_ns) * 1e-9;

    if (schedule_end > counts.last_right_ns &&
        schedule_end - counts.last_right_ns > counts.longest_gap_ns)
        counts.longest_gap_ns = schedule_end - counts.last_right_ns;
    printf("{\"seconds\":%.3f,\"started\":%llu,\"connected\":%llu,\"requests\":%llu,"
           "\"unsent\":%llu,\"bytes\":%llu,\"rate\":%.1f,\"longest_gap_ms\":%.1f,\"outcomes\":{",
           seconds, (unsigned long long)counts.started, (unsigned long long)counts.connected,
           (unsigned long long)counts.requests, (unsigned long long)counts.unsent,
           (unsigned long long)counts.bytes, (double)in_time / seconds,
           (double)counts.longest_gap_ns * 1e-6);
    for (int i = 0; i < LOAD_OUTCOME_COUNT; i++)
        printf("%s\"%s\":%llu", i ? "," : "", names[i], (unsigned long long)counts.outcomes[i]);
    printf("}");
    print_latencies();
    print_workers();
    printf("}\n");
}

/* --- options -----------------------------------------------------------------------------------
 */

static void print_usage(FILE *stream)
{
    fprintf(stream, "usage: load [options] ADDRESS...   (PORT, IPV4:PORT, [IPV6]:PORT, unix:PATH)\n"
                    "  -c CLIENTS    closed loop with this many connections at a time (1)\n"
                    "  -r RATE       open loop: this many arrivals a second (Poisson)\n"
                    "  -d SECONDS    how long to start new ones (1); TERM and INT end it sooner\n"
                    "  -n COUNT      start at most this many connections\n"
                    "  -t MS         time limit of each request (5000)\n"
                    "  -k REQUESTS   requests on each connection; without it the server closes\n"
                    "  -o            keep answered connections open to the end of the run\n"
                    "  -R US         closed loop: let the first clients come one by one\n"
                    "  -s COUNT      use this many source addresses, from 127.0.0.2 on\n"
                    "  -m MIX        types of requests and their weights: l95h5 (f1)\n"
                    "  -u PATH       speak HTTP and GET this path\n"
                    "  -p            begin each connection with a PROXY header, version 2\n"
                    "  -b silent     connect and say nothing; -b reset: connect and reset\n"
                    "  -S SEED       of arrivals and mix (1)\n");
}

static void parse_behaviour(const char *text)
{
    if (strcmp(text, "silent") == 0)
        options.behaviour = LOAD_SILENT;
    else if (strcmp(text, "reset") == 0)
        options.behaviour = LOAD_RESETS;
    else {
        print_usage(stderr);
        exit(2);
    }
}

static void parse_option(int option)
{
    switch (option) {
    case 'c': options.clients = atoi(optarg); break;
    case 'r': options.rate = atof(optarg); break;
    case 'd': options.seconds = atof(optarg); break;
    case 'n': options.limit = strtoull(optarg, NULL, 10); break;
    case 't': options.timeout_ms = atoi(optarg); break;
    case 'k': options.keep = atoi(optarg); break;
    case 'o': options.hold = true; break;
    case 'R': options.ramp_us = atoi(optarg); break;
    case 's': options.sources = atoi(optarg); break;
    case 'm': options.mix = optarg; break;
    case 'u': options.http_path = optarg; break;
    case 'p': options.proxied = true; break;
    case 'b': parse_behaviour(optarg); break;
    case 'S': options.seed = strtoull(optarg, NULL, 10); break;
    case 'h': print_usage(stdout); exit(0);
    default: print_usage(stderr); exit(2);
    }
}

static void parse(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "c:r:d:n:t:k:oR:s:m:u:pb:S:h")) != -1)
        parse_option(option);
    for (; optind < argc && options.to_count < LOAD_ADDRESSES_MAX; optind++)
        if (bench_address_parse(argv[optind], &options.to[options.to_count++]) < 0) {
            fprintf(stderr, "load: %s is no address\n", argv[optind]);
            exit(2);
        }
    if (options.to_count == 0 || options.clients < 1 || options.clients > OUTSTANDING_MAX ||
        options.timeout_ms < 1 || options.rate < 0) {
        print_usage(stderr);
        exit(2);
    }
    random_state = options.seed + 1;
}

static void on_stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    struct sigaction action = {.sa_handler = on_stop};

    parse(argc, argv);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that is interrupted must not leave a load behind */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) {
        fprintf(stderr, "load: cannot make an epoll fd: %s\n", strerror(errno));
        return 1;
    }
    conn_init(epoll_fd);
    run(epoll_fd);
    print_report();
    return 0;
}
