/*
 * recycle.h - --max-conns, --max-age, --max-rss: a worker that has done, lived or grown enough is
 * replaced as by `sshim restart SLOT`. One at a time, and no next one while an old one drains.
 */
#ifndef SSHIM_BROKER_OPERATE_STEER_RECYCLE_H
#define SSHIM_BROKER_OPERATE_STEER_RECYCLE_H

/* Looks from now on, if one of the options is given. Once more after they have changed. No timer
 * runs otherwise. */
void recycle_begin(void);

#endif
