/*
 * access.h - whose connections are taken: the rules of --allow and --deny, and of `sshim allow` and
 * `sshim deny`, which change them while the broker runs; and the limits of each source (sources.h).
 *
 * Of the networks that contain a client the longest counts. A client that is in none is taken,
 * unless there was an --allow.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_ACCESS_H
#define SSHIM_BROKER_HANDOUT_FRONT_ACCESS_H

#include <stdbool.h>

#include "broker/base/cidr.h"

/* The rules and limits of the configuration. False: memory is out. */
bool access_init(void);

/* The same when the configuration has changed. What access_set() has changed stays;
 * limits_changed: the connections of each client are counted from 0 again. */
void access_reread(bool limits_changed);

/* Whether there is any rule or limit. */
bool access_is_limited(void);

enum access { ACCESS_GIVEN, ACCESS_DENIED, ACCESS_LIMITED };

/* Whether this client's connection (borrows fd) is taken: then it counts. Else says why not, as
 * access_tell() does. */
enum access access_ask(int fd, const struct cidr_host *host);

/* From now on connections of this network are taken, or not. False: there is no room for another
 * rule. */
bool access_set(const struct cidr *network, bool denied);

/* Calls visit for what access_set() has changed, in order; the next broker sets it again. */
void access_each_change(void (*visit)(const struct cidr *network, bool denied, void *context),
                        void *context);

/* Says that a connection was closed, and why: once a minute for each reason. */
void access_tell(const struct cidr_host *host, const char *why);

#endif
