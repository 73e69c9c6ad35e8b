/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of /proc texts, over tables of texts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "service_parse.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void stat_survives_any_comm(void **state)
{
	static const char *const comms[] = {
		"cat", "", "a b", ") R 1 1 1", "))))", "((", "x\ny", ") Z 2\n3 (evil", "\xff\x01\x1b[31m",
	};
	char text[256];
	struct proc_stat s;
	size_t i;

	for (i = 0; i < sizeof(comms) / sizeof(*comms); i++) {
		snprintf(text, sizeof(text), "77 (%s) S 1 2 3 4 5 4194560 0 0 0 0 1 2 3 4 20 0 1 0 987654 0 0\n", comms[i]);
		assert_int_equal(parse_stat(text, strlen(text), &s), 0);
		assert_string_equal(s.comm, comms[i]);
		assert_int_equal(s.state, 'S');
		assert_int_equal(s.flags, 4194560);
		assert_int_equal(s.start_ticks, 987654);
	}
}

static void stat_refuses_garbage(void **state)
{
	static const char *const texts[] = {
		"", "1", "1 (a", ")1(", "1 (a)", "1 (a) ", "1 (a) S", "1 (a) S 1 2 3", "1 (a) S 1 2 3 4 5 x 0",
		"1 (a) S 1 2 3 4 5 6 0 0 0 0 1 2 3 4 20 0 1 0 99999999999999999999999 0",
	};
	struct proc_stat s;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(parse_stat(texts[i], strlen(texts[i]), &s), -EINVAL);
}

static void status_gives_uids(void **state)
{
	static const char text[] = "Name:\tUid:\\n\t0\nTgid:\t12\nPid:\t13\nUid:\t1\t2\t3\t4\n";
	static const char same[] = "Tgid:\t12\nUid:\t7\t7\t7\t7\n", saved[] = "Tgid:\t12\nUid:\t7\t7\t0\t7\n";
	static const char bad[] = "Tgid:\t12\nUid:\t1\n", three[] = "Tgid:\t12\nUid:\t1\t1\t1\n";
	struct proc_status s;

	assert_int_equal(parse_status(text, strlen(text), &s), 0);
	assert_int_equal(s.tgid, 12);
	assert_int_equal(s.euid, 2);
	assert_false(s.one_uid);
	assert_int_equal(parse_status(same, strlen(same), &s), 0);
	assert_true(s.one_uid);
	assert_int_equal(parse_status(saved, strlen(saved), &s), 0);
	assert_false(s.one_uid);
	assert_int_equal(parse_status(three, strlen(three), &s), -EINVAL);
	assert_int_equal(parse_status(bad, strlen(bad), &s), -EINVAL);
	assert_int_equal(parse_status(text, 20, &s), -EINVAL);
}

static void cgroup_names_unit_and_container(void **state)
{
	static const struct { const char *text, *unit, *container; } cases[] = {
		{ "", "", "" },
		{ "0::/\n", "", "" },
		{ "0::/system.slice/redis-server.service\n", "redis-server.service", "" },
		{ "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", "web.service", "" },
		{ "0::/user.slice/user-0.slice/session-3.scope", "session-3.scope", "" },
		{ "0::/system.slice/a.service (deleted)\n", "a.service", "" },
		{ "0::/system.slice/a.service/worker-pool\n", "a.service", "" },
		{ "0::/system.slice/docker-" ID ".scope\n", "docker-" ID ".scope", ID },
		{ "0::/docker/" ID "\n", "", ID },
		{ "0::/docker/" ID "/init.scope\n", "init.scope", ID },
		{ "0::/docker/" ID "/docker/" ID2 "\n", "", ID2 },
		{ "12:pids:/docker/" ID "\n1:name=systemd:/docker/" ID "\n0::/system.slice/containerd.service\n",
		  "containerd.service", ID },
		{ "11:cpu,cpuacct:/system.slice/b.service\n1:name=systemd:/system.slice/c.service\n", "c.service", "" },
		{ "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_3.slice/cri-containerd-" ID ".scope\n",
		  "cri-containerd-" ID ".scope", ID },
		{ "1:name=systemd:/kubepods/besteffort/pod9f0e/" ID "\n", "", ID },
		{ "0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:" ID "\n", "containerd.service", ID },
		{ "0::/machine.slice/libpod-" ID ".scope/container\n", "libpod-" ID ".scope", ID },
		{ "0::/machine.slice/libpod-conmon-" ID ".scope\n", "libpod-conmon-" ID ".scope", "" },
		{ "0::/machine.slice/machine-libpod_pod_" ID2 ".slice/libpod-" ID ".scope\n", "libpod-" ID ".scope", ID },
		{ "0::/kubepods.slice/crio-" ID ".scope\n", "crio-" ID ".scope", ID },
		{ "0::/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\n", "", "" },
		{ "0::/x" ID "\n", "", "" },
		{ "nonsense\n::\n0\n9\n9:\n0::/ok.service\n", "ok.service", "" },
	};
	char unit[256], container[CONTAINER_DIGITS + 1];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		parse_cgroup(cases[i].text, strlen(cases[i].text), unit, sizeof(unit), container);
		assert_string_equal(unit, cases[i].unit);
		assert_string_equal(container, cases[i].container);
	}
}

static void maps_lines_are_taken_and_bad_ones_skipped(void **state)
{
	static const char text[] =
		"55de4ece5000-55de4ecea000 r-xp 00002000 fe:01 247134                     /usr/bin/cat\n"
		"garbage\n"
		"2000-1000 r-xp 00000000 00:00 0 \n"
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
		"1000-2000 r-xp ffffffffffffffff 00:00 1 /wraps\n"
		"11112222333344445-5 r-xp 0 0:0 1 /too-big\n"
		"7f0000002000-7f0000003000 r-xp 0000a000 00:1f 9 /tmp/a b\\012c (deleted)";
	const char *pos = text, *end = text + sizeof(text) - 1;
	struct maps_line l;
	char path[64];

	assert_true(maps_next(&pos, end, &l));
	assert_true(l.exec && l.start == 0x55de4ece5000 && l.end == 0x55de4ecea000 && l.offset == 0x2000);
	assert_true(l.dev_major == 0xfe && l.dev_minor == 1 && l.ino == 247134);
	maps_path(&l, path, sizeof(path));
	assert_string_equal(path, "/usr/bin/cat");
	maps_path(&l, path, 5);
	assert_string_equal(path, "/usr");

	assert_true(maps_next(&pos, end, &l));
	assert_true(!l.exec && l.path_len == 0 && l.ino == 0);

	assert_true(maps_next(&pos, end, &l));
	maps_path(&l, path, sizeof(path));
	assert_true(cut_deleted(path));
	assert_string_equal(path, "/tmp/a b\nc");
	assert_false(cut_deleted(path));
	assert_false(maps_next(&pos, end, &l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_survives_any_comm),
		cmocka_unit_test(stat_refuses_garbage),
		cmocka_unit_test(status_gives_uids),
		cmocka_unit_test(cgroup_names_unit_and_container),
		cmocka_unit_test(maps_lines_are_taken_and_bad_ones_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
