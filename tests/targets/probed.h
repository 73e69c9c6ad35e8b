/* SPDX-License-Identifier: Apache-2.0 */
/* PROBED: a function that stays one function, with all its parameters, whatever the optimiser thinks of it. */
#ifndef PLUMB_TARGETS_PROBED_H
#define PLUMB_TARGETS_PROBED_H

#ifdef __clang__
#define PROBED __attribute__((noinline))
#else
#define PROBED __attribute__((noipa))
#endif

#endif
