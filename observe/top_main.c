/*
 * top_main.c - sshim-top CONTROL: shows a broker in the terminal, again each second. `sshim top`
 * finds the control socket and executes it. Asks by the text protocol, as any other program can.
 */
#include <errno.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "observe/ask.h"
#include "observe/flow.h"
#include "observe/screen.h"
#include "observe/view.h"

#define REFRESH_MS 1000
#define ANSWER_S 2

static const char *control;
static struct screen screen;
static struct view *view;
static volatile sig_atomic_t ended_by; /* a signal */

/* The worker that is chosen: rows may change their order before the next key. */
static int chosen_slot = -1, chosen_pid = -1;

/* Of a command that was given and is not answered yet. */
static int answer_fd = -1;

/* What 'y' does: a line for the broker. */
static char question[64];

static void on_signal(int number)
{
    ended_by = number;
}

/* The terminal is to be left as it was, whatever ends us. */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: getch() returns */

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

static void note_chosen(void)
{
    if (!view || screen.chosen >= view->workers_count)
        return;
    chosen_slot = view->workers[screen.chosen].slot;
    chosen_pid = view->workers[screen.chosen].pid;
}

/* The same process, else the one of the same slot, else the same row. */
static void sort_and_find_chosen(void)
{
    size_t found = view->workers_count;

    view_sort_workers(view, screen.sort);
    for (size_t i = 0; i < view->workers_count; i++) {
        const struct view_worker *worker = &view->workers[i];
        if (worker->slot == chosen_slot && (worker->pid == chosen_pid || worker->is_current))
            found = found < view->workers_count && worker->pid != chosen_pid ? found : i;
    }
    if (found < view->workers_count)
        screen.chosen = found;
    else if (screen.chosen >= view->workers_count)
        screen.chosen = view->workers_count ? view->workers_count - 1 : 0;
    note_chosen();
}

static void look(void)
{
    size_t len;
    int fd = ask_connect(control, ANSWER_S);
    char *text = fd >= 0 ? ask_status_text(fd, &len) : NULL;
    json_t *status = text ? json_loadb(text, len, 0, NULL) : NULL;
    struct view *next = status ? view_create(status, view) : NULL;

    json_decref(status);
    free(text);
    if (fd >= 0)
        close(fd);
    view_destroy(view);
    view = next;
    if (view)
        sort_and_find_chosen();
}

/* --- commands --- */

static void say(const char *text)
{
    snprintf(screen.message, sizeof screen.message, "%.*s", (int)strcspn(text, "\n"), text);
}

static void give_command(const char *line)
{
    if (answer_fd >= 0) {
        say("the last command is not done yet");
        return;
    }
    answer_fd = ask_connect(control, ANSWER_S);
    if (answer_fd < 0 || dprintf(answer_fd, "%s\n", line) < 0) {
        say("the broker does not answer");
        return;
    }
    say(line);
}

/* Shows what the command has come to, when it is done. */
static void receive_answer(void)
{
    char text[sizeof screen.message];
    ssize_t got = recv(answer_fd, text, sizeof text - 1, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    text[got > 0 ? got : 0] = '\0';
    if (got > 0)
        say(text);
    close(answer_fd);
    answer_fd = -1;
}

/* NULL: there is none. */
static const struct view_worker *find_chosen(void)
{
    return view && screen.chosen < view->workers_count ? &view->workers[screen.chosen] : NULL;
}

static void drain_or_resume(void)
{
    const struct view_worker *worker = find_chosen();
    char line[64];

    if (!worker)
        return;
    bool is_held = strcmp(worker->state, "drained") == 0 || strcmp(worker->state, "draining") == 0;
    snprintf(line, sizeof line, is_held ? "resume %d" : "drain %d --no-wait", worker->slot);
    give_command(line);
}

static void ask_restart(bool all)
{
    const struct view_worker *worker = find_chosen();
    char text[128];

    if (!worker)
        return;
    if (all)
        snprintf(question, sizeof question, "restart");
    else
        snprintf(question, sizeof question, "restart %d", worker->slot);
    snprintf(text, sizeof text, "%s? y: yes, any other key: no", question);
    say(text);
}

/* Another key than y is not taken for a command. */
static void answer_question(int key)
{
    say("");
    if (key == 'y' || key == 'Y')
        give_command(question);
    question[0] = '\0';
}

static void move_chosen(int rows)
{
    if (rows < 0 && screen.chosen > 0)
        screen.chosen--;
    else if (rows > 0 && view && screen.chosen + 1 < view->workers_count)
        screen.chosen++;
    note_chosen();
}

/* False: leave. */
static bool on_key(int key)
{
    if (question[0]) {
        answer_question(key);
        return true;
    }
    switch (key) {
    case 'q': return false;
    case 's':
        screen.sort = (enum view_sort)((screen.sort + 1) % VIEW_SORTS_COUNT);
        if (view)
            sort_and_find_chosen();
        break;
    case 'k':
    case KEY_UP: move_chosen(-1); break;
    case 'j':
    case KEY_DOWN: move_chosen(1); break;
    case 'd': drain_or_resume(); break;
    case 'r': ask_restart(false); break;
    case 'R': ask_restart(true); break;
    case KEY_RESIZE:
    case '\f': clear(); break;
    default: break;
    }
    return true;
}

/* --- the loop --- */

static bool is_time(struct timespec *next)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec < next->tv_sec || (now.tv_sec == next->tv_sec && now.tv_nsec < next->tv_nsec))
        return false;
    *next = now;
    next->tv_sec += REFRESH_MS / 1000;
    return true;
}

static void run(void)
{
    struct timespec next = {0};
    bool is_drawn = false; /* nothing has changed since then */
    int key;

    while (!ended_by) {
        if (is_time(&next)) {
            look();
            is_drawn = false;
        }
        if (!is_drawn && flow_is_open()) {
            screen_draw(&screen, view);
            is_drawn = true;
        }
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = answer_fd, .events = POLLIN}};
        poll(fds, 2, REFRESH_MS);
        if (fds[0].revents & (POLLHUP | POLLERR))
            return; /* the terminal is gone */
        if (answer_fd >= 0 && fds[1].revents) {
            receive_answer();
            is_drawn = false;
        }
        while ((key = flow_read_key()) != ERR) {
            is_drawn = false;
            if (!on_key(key))
                return;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("sshim-top: this program is started by 'sshim top'\n", stderr);
        return 2;
    }
    control = argv[1];
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fputs("sshim: top needs a terminal; for other programs there is 'sshim status --json'\n",
              stderr);
        return 2;
    }
    catch_signals();
    if (!screen_open()) {
        fprintf(stderr, "sshim: top does not know the terminal TERM=%s; try TERM=vt100\n",
                getenv("TERM") ? getenv("TERM") : "");
        return 2;
    }
    run();
    screen_close();
    view_destroy(view);
    if (answer_fd >= 0)
        close(answer_fd);
    if (ended_by) {
        signal(ended_by, SIG_DFL);
        raise(ended_by);
    }
    return 0;
}
