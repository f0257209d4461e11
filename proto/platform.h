/*
 * platform.h - what C libraries and machines differ in. The Makefile has it included before all
 * else in each file of the broker.
 *
 * From glibc 2.38 on, strtol(3), sscanf(3) and their like have a second name, under which they read
 * binary numbers as well. We read none, and a broker that was built there runs on Debian 12
 * without.
 */
#ifndef SSHIM_PROTO_PLATFORM_H
#define SSHIM_PROTO_PLATFORM_H

#include <features.h>

#ifdef __GLIBC__
#undef __GLIBC_USE_C2X_STRTOL /* 2.38 to 2.40 */
#define __GLIBC_USE_C2X_STRTOL 0
#undef __GLIBC_USE_C23_STRTOL
#define __GLIBC_USE_C23_STRTOL 0
#if !__GLIBC_PREREQ(2, 36)
#error "this glibc is too old: sshim needs 2.36 (Debian 12) or later"
#endif
#endif

/* What musl lacks, some of it in some versions only: names of our own, so that a later one may
 * bring it. */
#ifdef __GLIBC__
#include <sys/pidfd.h> /* here alone: that of glibc 2.43 has no guard */
#else
#include "proto/platform_musl.h"
#endif

/* clone(2) without a stack, for syscall(2): s390x has the flags behind it. tid: for
 * CLONE_PARENT_SETTID. */
#ifdef __s390__
#define PLATFORM_CLONE(flags, tid) SYS_clone, 0L, (long)(flags), (long)(tid), 0L, 0L
#else
#define PLATFORM_CLONE(flags, tid) SYS_clone, (long)(flags), 0L, (long)(tid), 0L, 0L
#endif

#endif
