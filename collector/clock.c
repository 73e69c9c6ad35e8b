/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#define JUMP_NS (10LL * 1000000000)
#define BELIEVED_AFTER_NS (86400ULL * 1000000000)

int64_t clock_jump(struct clock_watch *w, uint64_t wall_ns, uint64_t boot_ns)
{
	int64_t apart = (int64_t)(wall_ns - boot_ns), jump = w->apart_ns ? apart - w->apart_ns : 0;

	w->apart_ns = apart;
	if (jump < JUMP_NS && jump > -JUMP_NS)
		return 0;
	if (boot_ns >= w->believed_ns)
		w->ahead_ns = 0;
	w->ahead_ns = w->ahead_ns + jump > 0 ? w->ahead_ns + jump : 0;
	w->believed_ns = boot_ns + BELIEVED_AFTER_NS;
	return jump;
}

uint64_t clock_for_age(const struct clock_watch *w, uint64_t wall_ns, uint64_t boot_ns)
{
	return boot_ns >= w->believed_ns || (uint64_t)w->ahead_ns > wall_ns ? wall_ns : wall_ns - (uint64_t)w->ahead_ns;
}
