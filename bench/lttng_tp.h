/* SPDX-License-Identifier: Apache-2.0 */
/* The tracepoint of the lttng-ust yardstick: what plumb captures, known when the program is compiled. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER plumb_bench

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./lttng_tp.h"

#if !defined(BENCH_LTTNG_TP_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_LTTNG_TP_H

#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_EVENT(plumb_bench, call,
	LTTNG_UST_TP_ARGS(long, a, long, b, const char *, s),
	LTTNG_UST_TP_FIELDS(
		lttng_ust_field_integer(long, a, a)
		lttng_ust_field_integer(long, b, b)
		lttng_ust_field_string(s, s)))

#endif
#include <lttng/tracepoint-event.h>
