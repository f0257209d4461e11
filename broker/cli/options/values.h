/*
 * values.h - what a value of an option of `sshim run` means, where it is more than the text,
 * number, choice or flag that options.h reads. Readers for the rows of rows.c: `into` is a struct
 * config.
 */
#ifndef SSHIM_BROKER_CLI_OPTIONS_VALUES_H
#define SSHIM_BROKER_CLI_OPTIONS_VALUES_H

#include "broker/base/options.h"

/* By the type of the field at the row's offset. */
option_reader value_pattern;    /* struct config_patterns: one more address */
option_reader value_bound;      /* the same, of what is bound: not port 0 */
option_reader value_rule;       /* struct config_rules: KIND[@ADDR]; the kind is one of the names */
option_reader value_port;       /* struct config_patterns: APP=REAL, see ports.h */
option_reader value_unshared;   /* struct config_patterns: an address, or PORT+{id} */
option_reader value_networks;   /* struct cidr_set: more of them */
option_reader value_when_full;  /* struct config_when_full: queue, close or a file */
option_reader value_rate;       /* struct config_per_source: N[/SECONDS] */
option_reader value_prefix;     /* struct config_per_source: bits of IPv4,IPv6 */
option_reader value_backlog;    /* int: so many, or 0 for "app" */
option_reader value_fd;         /* int */
option_reader value_env;        /* struct config_texts: one more NAME=VALUE */
option_reader value_limit;      /* struct config_texts: one more, for option_parse_limit() */
option_reader value_cpus;       /* const char *: for option_parse_cpus(), or CONFIG_CPUS_SPREAD */
option_reader value_age;        /* unsigned: seconds */
option_reader value_size;       /* uint64_t: bytes */
option_reader value_ready;      /* struct config_ready: one of names, or the last and seconds */
option_reader value_filled;     /* const char *: not empty */
option_reader value_name;       /* const char *: a name of an instance */
option_reader value_control_ro; /* struct config_read_only: PATH[,MODE[,GROUP]] */
option_reader value_address;    /* const char *: for address_parse() */

/* These know their fields. */
option_reader value_workers; /* "auto", a number, or LOW..HIGH */
option_reader value_umask;   /* rights in octal */
option_reader value_nice;    /* -20 to 19 */
option_reader value_quiet;   /* errors only */
option_reader value_verbose; /* all messages */

#endif
