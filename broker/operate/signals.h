/*
 * signals.h - what a signal to `sshim run` does: TERM, INT, QUIT and a hang-up of the terminal
 * stop, HUP restarts, USR2 upgrades, TTIN and TTOU scale, USR1 is logged.
 */
#ifndef SSHIM_BROKER_OPERATE_SIGNALS_H
#define SSHIM_BROKER_OPERATE_SIGNALS_H

/* Blocks these signals and reads them from the loop. Call after original_init(). 0, or -1 with the
 * errno of signalfd(2) or epoll_ctl(2). */
int signals_watch(void);

#endif
