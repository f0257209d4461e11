/*
 * state_save.h - the broker's structure as a snapshot: slots, workers, listeners, channels and
 * which fd is which. For the keeper, for another `sshim run` that takes over, and for an upgrade in
 * place.
 */
#ifndef SSHIM_BROKER_SURVIVE_STATE_SAVE_H
#define SSHIM_BROKER_SURVIVE_STATE_SAVE_H

/* Writes a snapshot. The loop calls it before it waits if something changed, see journal_touch().
 */
void state_save(void);

#endif
