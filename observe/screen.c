/* screen.c - see screen.h. */
#include "observe/screen.h"

#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/flow.h"

#define LISTENERS_MAX 5 /* more are counted */
#define TEXT_MAX 32
#define KEYS "q quit  s sort  up/down choose  d drain/resume  r restart it  R restart all"

static SCREEN *terminal;

bool screen_open(void)
{
    terminal = newterm(NULL, stdout, stdin);
    if (!terminal)
        return false;
    set_term(terminal);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    timeout(0);
    flow_begin();
    return true;
}

void screen_close(void)
{
    if (!terminal)
        return;
    flow_finish();
    endwin();
    delscreen(terminal);
    terminal = NULL;
}

/* "3d04h", "2h07m", "5m09s". */
static const char *format_time(double seconds, char text[TEXT_MAX])
{
    long s = (long)seconds;

    if (s >= 86400)
        snprintf(text, TEXT_MAX, "%ldd%02ldh", s / 86400 % 100000, s % 86400 / 3600);
    else if (s >= 3600)
        snprintf(text, TEXT_MAX, "%ldh%02ldm", s / 3600, s % 3600 / 60);
    else
        snprintf(text, TEXT_MAX, "%ldm%02lds", s / 60, s % 60);
    return text;
}

/* "812K", "14.2M", "3.1G". */
static const char *format_bytes(uint64_t bytes, char text[TEXT_MAX])
{
    double kib = (double)bytes / 1024;

    if (kib < 1000)
        snprintf(text, TEXT_MAX, "%.0fK", kib);
    else if (kib < 1000 * 1024)
        snprintf(text, TEXT_MAX, "%.1fM", kib / 1024);
    else
        snprintf(text, TEXT_MAX, "%.1fG", kib / 1024 / 1024);
    return text;
}

static void draw_line(int row, attr_t attributes, const char *text)
{
    if (row >= LINES)
        return;
    move(row, 0);
    clrtoeol();
    attrset(attributes);
    if (attributes & A_REVERSE)
        mvhline(row, 0, ' ' | attributes, COLS);
    mvaddnstr(row, 0, text, COLS);
    attrset(A_NORMAL);
}

static void draw_head(const struct view *view)
{
    double rate = 0, open = 0, held = 0, closed = 0;
    char line[256];
    char uptime[TEXT_MAX];

    for (size_t i = 0; i < view->listeners_count; i++) {
        rate += view->listeners[i].rate;
        held += view->listeners[i].held;
        closed += view->listeners[i].closed;
    }
    for (size_t i = 0; i < view->workers_count; i++)
        open += view->workers[i].open;
    snprintf(line, sizeof line, "%s (pid %d) is %s: %.0f of %.0f workers, up %s", view->name,
             view->pid, view->state, view->ready, view->wanted,
             format_time(view->uptime_s, uptime));
    draw_line(0, A_BOLD, line);
    int len = snprintf(line, sizeof line, "%.1f connections/s, %.0f open", rate, open);
    if (held > 0 || closed > 0) /* --hold and its like */
        snprintf(line + len, sizeof line - (size_t)len, "; the broker holds %.0f, has closed %.0f",
                 held, closed);
    draw_line(1, A_NORMAL, line);
}

/* Returns the row after the last. */
static int draw_listeners(const struct view *view, int row)
{
    char line[256];
    size_t shown = view->listeners_count < LISTENERS_MAX ? view->listeners_count : LISTENERS_MAX;

    snprintf(line, sizeof line, "%-29s %9s %7s %7s %9s %8s %5s", "LISTENER", "RATE/S", "QUEUED",
             "OF", "ALL-BUSY", "RECALLED", "LOST");
    draw_line(row++, A_REVERSE, line);
    for (size_t i = 0; i < shown; i++) {
        const struct view_listener *listener = &view->listeners[i];
        snprintf(line, sizeof line, "%-29.29s %9.1f %7.0f %7.0f %8.0f%% %8.0f %5.0f",
                 listener->address, listener->rate, listener->queued, listener->limit,
                 listener->all_busy_percent, listener->recalled, listener->lost);
        draw_line(row++, A_NORMAL, line);
    }
    if (shown < view->listeners_count) {
        snprintf(line, sizeof line, "and %zu more", view->listeners_count - shown);
        draw_line(row++, A_NORMAL, line);
    }
    return row;
}

static void draw_worker(int row, const struct view_worker *worker, bool is_chosen)
{
    char line[256];
    char memory[TEXT_MAX];
    char uptime[TEXT_MAX];

    snprintf(line, sizeof line, "%c%4d %8d %-8s %9.1f %6.0f %6.1f %7s %5.0f%% %8.0f %8s",
             is_chosen ? '>' : ' ', worker->slot, worker->pid, worker->state, worker->rate,
             worker->open, worker->cpu_percent, format_bytes(worker->resident_bytes, memory),
             worker->busy_percent, worker->restarts, format_time(worker->uptime_s, uptime));
    draw_line(row, is_chosen ? A_BOLD : A_NORMAL, line);
}

static void draw_workers(struct screen *screen, const struct view *view, int row)
{
    char line[256];
    size_t rows = LINES - row - 3 > 0 ? (size_t)(LINES - row - 3) : 0; /* head, message, keys */

    snprintf(line, sizeof line, " %4s %8s %-8s %9s %6s %6s %7s %6s %8s %8s", "SLOT", "PID", "STATE",
             "RATE/S", "OPEN", "CPU%", "MEMORY", "BUSY", "RESTARTS", "UPTIME");
    draw_line(row++, A_REVERSE, line);
    if (screen->chosen < screen->first)
        screen->first = screen->chosen;
    if (rows > 0 && screen->chosen >= screen->first + rows)
        screen->first = screen->chosen - rows + 1;
    if (screen->first + rows > view->workers_count) /* there is more room than before */
        screen->first = view->workers_count > rows ? view->workers_count - rows : 0;
    for (size_t i = 0; i < rows; i++) {
        size_t number = screen->first + i;
        if (number < view->workers_count)
            draw_worker(row + (int)i, &view->workers[number], number == screen->chosen);
        else
            draw_line(row + (int)i, A_NORMAL, "");
    }
}

void screen_draw(struct screen *screen, const struct view *view)
{
    char line[256];

    if (view) {
        draw_head(view);
        draw_workers(screen, view, draw_listeners(view, 2));
    } else {
        erase();
        draw_line(0, A_BOLD, "the broker does not answer");
    }
    draw_line(LINES - 2, A_BOLD, screen->message);
    snprintf(line, sizeof line, "%s", KEYS);
    draw_line(LINES - 1, A_REVERSE, line);
    if (view) {
        snprintf(line, sizeof line, "by %s", view_sort_name(screen->sort));
        mvaddnstr(1, COLS > 12 ? COLS - 12 : 0, line, 12);
    }
    refresh();
    flow_note_picture();
}
