/*
 * orphans.h - workers of a broker that was killed together with its keeper. They serve by
 * themselves, hold the canonical sockets and ask for a new broker now and then
 * (shim/accept/renew.c). Here they are found in /proc and taken in again.
 */
#ifndef SSHIM_BROKER_SURVIVE_ORPHANS_H
#define SSHIM_BROKER_SURVIVE_ORPHANS_H

/*
 * Takes their canonical sockets and watches their processes; channels are given as they ask. Needs
 * Linux 5.6 and the right to trace them (ptrace(2)): without, one line says so and nothing has
 * happened. None are taken in with --handoff direct, theirs or ours. Returns how many workers there
 * are.
 */
unsigned orphans_adopt(void);

#endif
