/*
 * flow.h - no picture is sent before the terminal has shown the last one, so that a slow line shows
 * what is, and not what was. Each picture is followed by the question where the cursor is (terminfo
 * calls it u7), which a terminal answers when it comes to it: no other sign crosses a pty, ssh or a
 * modem. A terminal that gives no answer at the start is not asked again.
 */
#ifndef SSHIM_OBSERVE_FLOW_H
#define SSHIM_OBSERVE_FLOW_H

#include <stdbool.h>

/* The terminal is open (ncurses), and nothing was drawn yet. */
void flow_begin(void);

/* Whether a picture may be sent. */
bool flow_is_open(void);

/* One was sent. */
void flow_note_picture(void);

/* As getch(3), without the terminal's answers. */
int flow_read_key(void);

/* Waits for the last answer, for at most some seconds: it is not for the program that reads next.
 * Before the terminal is closed. */
void flow_finish(void);

#endif
