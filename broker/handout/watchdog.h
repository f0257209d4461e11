/*
 * watchdog.h - finds workers that neither wait nor accept nor close anything for a long time. Looks
 * only while some worker is busy: an idle pool causes no wake-up.
 */
#ifndef SSHIM_BROKER_HANDOUT_WATCHDOG_H
#define SSHIM_BROKER_HANDOUT_WATCHDOG_H

/* A connection was handed out, or waits: begins to look, unless it looks already. */
void watchdog_poke(void);

#endif
