/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon gives up once it has started: capabilities, and system calls.  Not a fence against its user, but what is left of a
 * hole in a parser after that.
 */
#ifndef PLUMB_SANDBOX_H
#define PLUMB_SANDBOX_H

#include "plumb/error.h"

/* Keeps these capabilities (numbers of linux/capability.h, -1 ends the list) as far as they are there, and none that could be gained. */
int sandbox_capabilities(const int *keep, struct error *err);

enum sandbox_profile {
	SANDBOX_COLLECTOR,   /* files, sockets, threads that there are: nothing else. Everything else fails with EPERM. */
	SANDBOX_AGENT,       /* all but what an agent never does: to write into other processes, run programs, change the system */
};

/* For this process and all it makes. With a sanitizer in the program it does nothing: those need more. */
int sandbox_syscalls(enum sandbox_profile profile, struct error *err);

#endif
