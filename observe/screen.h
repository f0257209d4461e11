/*
 * screen.h - draws a view on the terminal, by ncurses: no colour, 80 by 24 is enough, and only what
 * has changed is sent.
 */
#ifndef SSHIM_OBSERVE_SCREEN_H
#define SSHIM_OBSERVE_SCREEN_H

#include "observe/view.h"

struct screen {
    enum view_sort sort;
    size_t chosen; /* the worker's number in the view */
    size_t first;  /* the one in the first row */
    char message[128];
};

/* False: TERM names no terminal that is known. */
bool screen_open(void);

/* Leaves the terminal as it was. */
void screen_close(void);

/* view NULL: the broker does not answer, or not yet. Moves first so that the chosen one is seen.
 * Only while flow_is_open(). */
void screen_draw(struct screen *screen, const struct view *view);

#endif
