/*
 * keeper.h - a process that does nothing but share the broker's fd table (clone(2), CLONE_FILES)
 * and wait for its death.
 *
 * So the kernel closes nothing when the broker is killed: listening sockets, channels, offers in
 * them, and the connection just accepted stay open. The keeper then executes the broker's program,
 * which resumes.
 *
 * A broker whose loop does not end its turn for KEEPER_TURN_MAX_S seconds, in a call that no signal
 * interrupts or in a circle of its own, is killed by the keeper, which then goes on as after a
 * crash. A broker that was stopped by a signal, or by a debugger, is left alone.
 */
#ifndef SSHIM_BROKER_SURVIVE_KEEPER_H
#define SSHIM_BROKER_SURVIVE_KEEPER_H

#define KEEPER_TURN_MAX_S 5

/* Sets what the keeper in charge calls when the broker has not ended in order: in the keeper's
 * process, with the broker's descriptors. */
void keeper_init(void (*on_death)(void));

/*
 * Starts the keeper unless it runs (runtime.keeper_pid; no wait for SIGCHLD's children sees it).
 * If the keeper is killed, another one starts: at once, or after a growing pause if it does not
 * live for a second. If it cannot be started, one line says so, and the start is tried again. From
 * then on this keeper is in charge (journal_set_keeper()). During an upgrade the keeper of the old
 * program stays until keeper_end_old().
 */
void keeper_start(void);

/*
 * The keeper executes the new program of an upgrade, in its process, and the broker ends: it is not
 * to be pid 1, and a service manager is to know the keeper's pid (service.h). Another keeper of
 * this program watches over it until it serves. Returns only on failure, with the errno of fork(2),
 * or ESRCH if there is no keeper.
 */
void keeper_hand_over(void);

/* The new program serves: the old one's keeper is not needed any more. */
void keeper_end_old(void);

/* Another keeper, which knows what this process knows now. */
void keeper_renew(void);

/* Ends the keeper, or the attempts to start it: the broker is about to end in order, or to execute
 * another program. */
void keeper_stop(void);

#endif
