#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs plumb's peers and what the measurements probe: deps.sh quick|full. Debian packages only; silent when all is
# there. What cannot be had is named, and the questions that need it report it as missing.
set -u
. "$(dirname "$0")/../scripts/packages.sh"

packages='python3 bpftrace libbpf-tools linux-perf gdb gnuplot-nox strace redis-server nginx-light libstdc++6 zlib1g libssl3
libsqlite3-0 ripgrep'
[ "${1:-quick}" = full ] && packages="$packages uftrace liblttng-ust-dev lttng-tools ltrace openjdk-17-jre-headless openjdk-17-dbg ceph-osd ceph-osd-dbg"

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "bench: not a Debian system; peers that are not installed are left out: $(echo $packages)" >&2
	exit 0
fi
missing=$(packages_missing $packages)
[ -z "$missing" ] && exit 0
if ! packages_may_install; then
	echo "bench: left out, not installed:$missing" >&2
	exit 0
fi
echo "bench: installing:$missing" >&2
packages_begin
for p in $missing; do
	apt-get install -y -qq --no-install-recommends "$p" >/dev/null 2>&1 || echo "bench: $p cannot be installed" >&2
done
exit 0
