/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * What failing calls returned: exact counts by value, at most ERROR_VALUES_MAX of them for each process. Touched by failing
 * calls only. A value that finds no room is in `errors` and nowhere else.
 */
#ifndef PLUMB_VALUES_BPF_H
#define PLUMB_VALUES_BPF_H

/* Sized by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct error_key);
	__type(value, __u64);
} error_values SEC(".maps");

/* The return value as its type has it. */
static __always_inline __s64 returned_value(__u64 rax)
{
	switch (plan.ret_bytes) {
	case 1:
		return plan.ret_signed ? (__s64)(__s8)rax : (__s64)(__u8)rax;
	case 2:
		return plan.ret_signed ? (__s64)(__s16)rax : (__s64)(__u16)rax;
	case 4:
		return plan.ret_signed ? (__s64)(__s32)rax : (__s64)(__u32)rax;
	default:
		return (__s64)rax;
	}
}

/* The counter of a key, made if it is new. NULL: no room. */
static __noinline __u64 *value_counter(struct error_key *key)
{
	const __u64 none = 0;

	bpf_map_update_elem(&error_values, key, &none, BPF_NOEXIST); /* another CPU may be faster: then it is there */
	return bpf_map_lookup_elem(&error_values, key);
}

static __always_inline void count_error_value(__u32 slot, __u64 rax)
{
	struct error_key key = { .slot = slot, .kind = ERROR_KEY_VALUE, .value = returned_value(rax) };
	struct error_key number = { .slot = slot, .kind = ERROR_KEY_NUMBER };
	__u64 *n = bpf_map_lookup_elem(&error_values, &key), *known;

	if (!n) {
		known = bpf_map_lookup_elem(&error_values, &number);
		if (!known)
			known = value_counter(&number);
		if (!known || __sync_fetch_and_add(known, 1) >= ERROR_VALUES_MAX)
			return;
		n = value_counter(&key);
	}
	if (n)
		count(n, 1);
}

#endif
