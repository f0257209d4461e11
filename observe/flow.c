/* flow.c - see flow.h. */
#include "observe/flow.h"

#include <ncurses.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <term.h>
#include <time.h>
#include <unistd.h>

#define QUESTION "\033[6n"   /* the same in all terminals that have it */
#define FIRST_MS 2000        /* nothing is in front of the first question */
#define ANSWER_MS 60000      /* a line that stands still for longer is tried again */
#define LAST_ANSWER_MS 10000 /* at the end */
#define ESCAPE 27

static enum { FLOW_OPEN, FLOW_ASKED_FIRST, FLOW_ASKED, FLOW_DEAF } state;
static int64_t asked_ms;

/* How much of an answer, ESC [ ROW ; COLUMN R, was read. It may come in pieces. */
static enum { READ_NOTHING, READ_ESCAPE, READ_NUMBERS } reading;

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void ask(void)
{
    ssize_t len = (ssize_t)strlen(QUESTION);

    if (write(STDOUT_FILENO, QUESTION, (size_t)len) != len)
        state = FLOW_OPEN; /* no answer will come */
    asked_ms = now_ms();
}

void flow_begin(void)
{
    const char *question = tigetstr("u7");

    state = FLOW_DEAF;
    if (!question || question == (char *)-1 || strcmp(question, QUESTION) != 0)
        return;
    state = FLOW_ASKED_FIRST;
    ask();
}

bool flow_is_open(void)
{
    int64_t waited_ms = now_ms() - asked_ms;

    if (state == FLOW_ASKED_FIRST && waited_ms >= FIRST_MS)
        state = FLOW_DEAF;
    if (state == FLOW_ASKED && waited_ms >= ANSWER_MS)
        state = FLOW_OPEN;
    return state == FLOW_OPEN || state == FLOW_DEAF;
}

void flow_note_picture(void)
{
    if (state == FLOW_DEAF)
        return;
    state = FLOW_ASKED;
    ask();
}

/* One more of an answer. False: it is none, but a key. */
static bool read_answer(int key)
{
    if (key > UINT8_MAX || (reading == READ_NOTHING && key != ESCAPE) ||
        (reading == READ_ESCAPE && key != '[')) {
        reading = READ_NOTHING;
        return false;
    }
    if (reading != READ_NUMBERS) {
        reading = reading == READ_NOTHING ? READ_ESCAPE : READ_NUMBERS;
        return true;
    }
    if (key >= '@') /* the end of any such sequence */
        reading = READ_NOTHING;
    if (key == 'R')
        state = FLOW_OPEN;
    return true;
}

int flow_read_key(void)
{
    int key;

    do
        key = getch();
    while (key != ERR && read_answer(key));
    return key;
}

void flow_finish(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int64_t end_ms = asked_ms + (state == FLOW_ASKED_FIRST ? FIRST_MS : 0);

    if (state == FLOW_ASKED)
        end_ms = now_ms() + LAST_ANSWER_MS;
    while ((state == FLOW_ASKED_FIRST || state == FLOW_ASKED) && now_ms() < end_ms) {
        int ready = poll(&input, 1, (int)(end_ms - now_ms()));
        if (ready < 0 || (input.revents & (POLLHUP | POLLERR)))
            return; /* a second signal, or the terminal is gone */
        while (flow_read_key() != ERR)
            ;
    }
    flushinp();
}
