/* SPDX-License-Identifier: Apache-2.0 */
#include "loader.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "feature.h"
#include "kernel_numbers.h"
#include "loader_internal.h"
#include "multi.h"
#include "plan_lower.h"
#include "probe.skel.h"

enum {
	TASK_STATE_BYTES = 8192,    /* task storage per thread and probe, about */
	DEEP_ENTRIES = 4096,
	INITIAL_PIDNS_INO = 0xEFFFFFFC, /* PROC_PID_INIT_INO */
};

static const char *const method_names[] = {
	[ATTACH_AUTO] = "auto", [ATTACH_SESSION] = "session", [ATTACH_MULTI] = "multi", [ATTACH_PERF] = "perf",
};

int attach_method_parse(const char *name, enum attach_method *out)
{
	for (unsigned i = 0; i < sizeof(method_names) / sizeof(method_names[0]); i++) {
		if (!strcmp(method_names[i], name)) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *attach_method_name(enum attach_method m)
{
	return method_names[m];
}

/* The last warning of libbpf: the verifier's word for why a load failed. */
static char libbpf_said[400];

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && !libbpf_said[0])
		vsnprintf(libbpf_said, sizeof(libbpf_said), fmt, ap);
	if (getenv("PLUMB_LIBBPF_DEBUG") && level <= LIBBPF_INFO)
		return vfprintf(stderr, fmt, ap);
	return 0;
}

static enum attach_method best_method(enum attach_method wanted, bool call)
{
	if (wanted != ATTACH_AUTO)
		return wanted == ATTACH_SESSION && !call ? ATTACH_MULTI : wanted;
	if (call && feature_has(FEATURE_SESSION))
		return ATTACH_SESSION;
	return feature_has(FEATURE_MULTI) ? ATTACH_MULTI : ATTACH_PERF;
}

const char *loader_describe_method(enum attach_method wanted, bool call)
{
	static const char *const how[] = {
		[ATTACH_SESSION] = "one session link", [ATTACH_MULTI] = "uprobe_multi", [ATTACH_PERF] = "perf-event uprobe",
	};

	return how[best_method(wanted, call)];
}

/* As many frames in the thread's own storage as fit; deeper calls go to the hash map. */
static uint32_t frames_for(const struct plan *plan)
{
	uint32_t room = TASK_STATE_BYTES - sizeof(struct task_state), n = room / plan->event_bytes;

	if (!(plan->flags & PLAN_CALL) || !n)
		return 1;
	return n > FRAMES_MAX ? FRAMES_MAX : n;
}

/*
 * Task storage insists on BTF whose value type has the map's value size, and that size is the plan's: so the type is made
 * here, an array of bytes.
 */
static int create_tasks(uint32_t value_size)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct btf *btf = btf__new_empty();
	int key, byte, value, fd, err;

	if (!btf)
		return -ENOMEM;
	key = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	byte = btf__add_int(btf, "unsigned char", 1, 0);
	value = btf__add_array(btf, key, byte, (int)value_size);
	err = key > 0 && byte > 0 && value > 0 ? btf__load_into_kernel(btf) : -ENOMEM;
	if (!err) {
		opts.btf_fd = (uint32_t)btf__fd(btf);
		opts.btf_key_type_id = (uint32_t)key;
		opts.btf_value_type_id = (uint32_t)value;
		fd = bpf_map_create(BPF_MAP_TYPE_TASK_STORAGE, "plumb_tasks", 4, value_size, 0, &opts);
		err = fd >= 0 ? fd : -errno;
	}
	btf__free(btf);
	return err;
}

/* The namespace whose pids the events carry must be ours. */
static void set_pid_namespace(struct plan *plan)
{
	struct stat st;

	plan->pidns_dev = plan->pidns_ino = 0;
	if (stat("/proc/self/ns/pid", &st) || st.st_ino == INITIAL_PIDNS_INO)
		return;
	plan->pidns_dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev); /* as the kernel writes it */
	plan->pidns_ino = st.st_ino;
}

static bool has_condition(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_entry; i++)
		if (plan->entry[i].code == OP_REQUIRE)
			return true;
	for (uint32_t i = 0; i < plan->n_return; i++)
		if (plan->ret[i].code == OP_REQUIRE)
			return true;
	return false;
}

static void fill_plan(struct loaded *l, const struct resolved *r, const struct rings *rings,
		      const struct load_options *o)
{
	struct plan *plan = (struct plan *)&l->skel->rodata->plan;

	*plan = r->plan;
	plan->flags = l->flags;
	plan->probe = o->probe;
	plan->frames = frames_for(plan);
	plan->slots = l->slots;
	plan->rings = rings_count(rings);
	plan->wake_bytes = rings_bytes(rings) / 4;
	plan->sample = o->sample;
	/* Short windows keep a burst from using up a second's share, but a low rate cannot be divided. */
	plan->rate = o->rate_per_s < 100 ? o->rate_per_s : o->rate_per_s / 10;
	plan->rate_window_ns = o->rate_per_s < 100 ? 1000000000 : 100000000;
	plan->uid = o->uid;
	plan->flags |= (o->uid ? PLAN_OWNER : 0) | (o->open ? PLAN_OPEN : 0) | (l->method == ATTACH_SESSION ? PLAN_SESSION : 0);
	if (l->method != ATTACH_PERF && feature_has(FEATURE_SLEEPABLE))
		plan->flags |= PLAN_SLEEPABLE | (kernel_numbers()->function[COPY_FROM_USER_STR] ? PLAN_FAULT_STRINGS : 0);
	set_pid_namespace(plan);
	plan_lower(plan);
	l->skel->bss->shared.next_slot = 1;
	plan->functions = l->pattern ? l->pattern->n_functions : 0;
	plan->rows = l->pattern ? l->pattern->n_rows : 0;
	l->skel->bss->shared.next_row = l->slots;
}

static int size_maps(struct loaded *l, const struct rings *rings)
{
	const struct plan *plan = (const struct plan *)&l->skel->rodata->plan;
	bool deep = plan->flags & PLAN_CALL && plan->frames < FRAMES_MAX;
	int err;

	l->tasks_fd = create_tasks(sizeof(struct task_state) + plan->frames * plan->event_bytes);
	if (l->tasks_fd < 0)
		return l->tasks_fd;
	err = bpf_map__reuse_fd(l->skel->maps.tasks, l->tasks_fd);
	if (!err)
		err = bpf_map__reuse_fd(l->skel->maps.rings, rings_map_fd(rings));
	if (!err)
		err = bpf_map__reuse_fd(l->skel->maps.data_wake, rings_state_fd(rings));
	if (!err)
		err = bpf_map__set_value_size(l->skel->maps.deep, plan->event_bytes);
	if (!err)
		err = bpf_map__set_max_entries(l->skel->maps.deep, deep ? DEEP_ENTRIES : 1);
	if (!err)
		err = bpf_map__set_max_entries(l->skel->maps.slots, l->slots * 2);
	if (!err)
		err = bpf_map__set_max_entries(l->skel->maps.counters, l->slots);
	if (!err)
		err = values_size_map(l);
	return err ? err : pattern_size_maps(l);
}

int own_fd(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Takes over what is needed of the loaded object and lets libbpf's copy of it go. */
static int keep_loaded(struct loaded *l)
{
	bool session = l->method == ATTACH_SESSION;
	void *bss;

	l->prog_fd[0] = own_fd(bpf_program__fd(l->program[0]));
	if (l->call && !session)
		l->prog_fd[1] = own_fd(bpf_program__fd(l->program[1]));
	l->slots_fd = own_fd(bpf_map__fd(l->skel->maps.slots));
	l->counters_fd = own_fd(bpf_map__fd(l->pattern ? l->skel->maps.rows : l->skel->maps.counters));
	if (l->prog_fd[0] < 0 || (l->call && !session && l->prog_fd[1] < 0) || l->slots_fd < 0 || l->counters_fd < 0)
		return -EMFILE;
	bss = mmap(NULL, sizeof(*l->shared), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(l->skel->maps.bss), 0);
	if (bss == MAP_FAILED)
		return -errno;
	l->shared = bss;
	madvise(bss, sizeof(*l->shared), MADV_DONTFORK);
	if (pattern_keep(l) || values_keep(l))
		return -ENOMEM;
	if (l->method != ATTACH_PERF) {
		probe_bpf__destroy(l->skel);
		l->skel = NULL;
		malloc_trim(0);
	}
	return 0;
}

static int load_refused(struct error *err, int rc)
{
	char *end = strchr(libbpf_said, '\n');

	if (end)
		*end = '\0';
	error_set(err, -rc, rc == -EPERM ? "the kernel does not let this user load BPF programs" :
		  "the kernel refused the probe's program: %s", libbpf_said[0] ? libbpf_said : strerror(-rc));
	if (err)
		error_hint(err, "see plumb doctor");
	return rc;
}

static int too_many_for_perf(struct loaded *l, struct error *err)
{
	loader_free(l);
	error_set(err, E2BIG, "a pattern may mean at most %d functions on this kernel, which has no uprobe_multi", PATTERN_PERF_MAX);
	return error_hint(err, "see plumb doctor; or a pattern that means fewer, see plumb funcs"), -E2BIG;
}

int loader_load(const struct resolved *r, const struct rings *rings, const struct load_options *opts,
		struct loaded **out, struct error *err)
{
	struct loaded *l = calloc(1, sizeof(*l));
	int rc = -ENOMEM;

	if (!l)
		return error_set(err, ENOMEM, "out of memory");
	libbpf_said[0] = '\0';
	libbpf_set_print(keep_warning);
	l->prog_fd[0] = l->prog_fd[1] = l->tasks_fd = l->slots_fd = l->counters_fd = l->values_fd = -1;
	l->flags = r->plan.flags | (has_condition(&r->plan) ? PLAN_CONDITION : 0);
	l->call = r->plan.flags & PLAN_CALL;
	l->method = best_method(opts->method, l->call);
	l->slots = opts->slots < 2 ? 2 : opts->slots;
	pthread_mutex_init(&l->lock, NULL);
	l->cpus = (uint32_t)libbpf_num_possible_cpus();
	l->per_cpu = calloc(l->cpus, sizeof(*l->per_cpu));
	rc = programs_register();
	if (rc) {
		loader_free(l);
		return error_set(err, -rc, "the kernel's BTF, /sys/kernel/btf/vmlinux, cannot be read or lacks what is needed");
	}
	rc = is_pattern(r) ? pattern_new(l, r) : 0;
	if (rc == -E2BIG)
		return too_many_for_perf(l, err);
	l->skel = !rc && l->per_cpu ? probe_bpf__open() : NULL;
	rc = -ENOMEM;
	if (l->skel) {
		fill_plan(l, r, rings, opts);
		rc = size_maps(l, rings);
	}
	if (!rc) {
		programs_choose(l);
		rc = probe_bpf__load(l->skel);
		if (!rc)
			rc = keep_loaded(l);
	}
	if (rc) {
		load_refused(err, rc);
		loader_free(l);
		return rc;
	}
	*out = l;
	return 0;
}

void loader_free(struct loaded *l)
{
	if (!l)
		return;
	const int fds[] = { l->prog_fd[0], l->prog_fd[1], l->tasks_fd, l->slots_fd, l->counters_fd, l->values_fd };

	loader_detach(l, true);
	probe_bpf__destroy(l->skel);
	if (l->shared)
		munmap(l->shared, sizeof(*l->shared));
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_mutex_destroy(&l->lock);
	pattern_free(l->pattern);
	free(l->value);
	free(l->per_cpu);
	free(l->link);
	free(l);
}

/* ---- processes and counters ---- */

int loader_add_process(struct loaded *l, pid_t pid)
{
	uint32_t key = (uint32_t)pid, slot;

	if (!bpf_map_lookup_elem(l->slots_fd, &key, &slot))
		return (int)slot;
	/* Beyond the last slot processes share it: totals stay exact, attribution is lost. */
	slot = __atomic_fetch_add(&l->shared->next_slot, 1, __ATOMIC_RELAXED);
	if (slot >= l->slots)
		slot = l->slots - 1;
	if (bpf_map_update_elem(l->slots_fd, &key, &slot, BPF_NOEXIST) && errno != EEXIST)
		return -errno;
	return (int)slot;
}

enum attach_method loader_method(const struct loaded *l)
{
	return l->method;
}

bool loader_shares_last(const struct loaded *l)
{
	return __atomic_load_n(&l->shared->next_slot, __ATOMIC_RELAXED) > l->slots;
}

uint32_t loader_slots(const struct loaded *l)
{
	return l->slots;
}

uint32_t loader_instructions(const struct loaded *l)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(l->prog_fd[0], &info, &len))
		return 0;
	return info.xlated_prog_len / 8;
}

uint32_t loader_code_bytes(const struct loaded *l)
{
	uint32_t bytes = 0;

	for (int i = 0; i < 2; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);

		if (l->prog_fd[i] >= 0 && !bpf_obj_get_info_by_fd(l->prog_fd[i], &info, &len))
			bytes += info.jited_prog_len;
	}
	return bytes;
}

void counts_add(struct counts *to, const struct counts *from)
{
	const __u64 *f = (const __u64 *)from;
	__u64 *t = (__u64 *)to, max = to->max_ns > from->max_ns ? to->max_ns : from->max_ns;

	for (size_t i = 0; i < sizeof(*to) / sizeof(__u64); i++)
		t[i] += f[i];
	to->max_ns = max;
}

/* Slot 0 holds hits without a thread's storage only. */
void counts_complete(const struct loaded *l, struct counts *c)
{
	bool call = l->flags & PLAN_CALL;
	uint64_t durations = 0, considered;

	for (int i = 0; call && !l->pattern && i < HIST_BUCKETS; i++)
		durations += c->hist[i];
	if (l->pattern) /* is not always told by its histogram */
		durations = c->returns;
	if (!(l->flags & PLAN_CONDITION)) {
		c->matched = call ? durations : c->calls - c->dropped[DROP_NOMEM];
		c->returns = durations;
	}
	considered = l->flags & PLAN_ERRORS_ONLY ? c->errors : c->matched;
	if (l->flags & PLAN_SHIP)
		c->shipped = considered - c->sampled - c->dropped[DROP_RATE] - c->dropped[DROP_RING];
}

int loader_counts(const struct loaded *l, uint32_t slot, struct counts *out)
{
	memset(out, 0, sizeof(*out));
	if (l->pattern)
		return pattern_slot_counts(l, slot, out);
	if (bpf_map_lookup_elem(l->counters_fd, &slot, l->per_cpu))
		return -errno;
	for (uint32_t i = 0; i < l->cpus; i++)
		counts_add(out, &l->per_cpu[i]);
	counts_complete(l, out);
	return 0;
}

void loader_mute(struct loaded *l)
{
	__atomic_store_n(&l->shared->muted, 1, __ATOMIC_RELAXED);
}

void loader_each_process(const struct loaded *l, void (*visit)(pid_t pid, uint32_t slot, void *arg), void *arg)
{
	int fd = l->slots_fd;
	uint32_t key, *at = NULL, slot;

	while (!bpf_map_get_next_key(fd, at, &key)) {
		if (!bpf_map_lookup_elem(fd, &key, &slot))
			visit((pid_t)key, slot, arg);
		at = &key;
	}
}

int loader_run_time(const struct loaded *l, uint64_t *runs, uint64_t *ns)
{
	*runs = *ns = 0;
	for (int i = 0; i < (l->call && l->method != ATTACH_SESSION ? 2 : 1); i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);

		if (bpf_obj_get_info_by_fd(l->prog_fd[i], &info, &len))
			return -errno;
		*runs += info.run_cnt;
		*ns += info.run_time_ns;
	}
	return 0;
}
