# SPDX-License-Identifier: Apache-2.0
# Debian packages, for the scripts that read this with "." - one question to dpkg, and none to apt when all is there.

# packages_missing NAME...: those that are not installed, each after a blank
packages_missing() {
	installed=" $(dpkg-query -W -f='${db:Status-Abbrev}${Package} ' "$@" 2>/dev/null || true)"
	for p in "$@"; do
		case "$installed" in
		*" ii $p "*) ;;
		*) printf ' %s' "$p" ;;
		esac
	done
}

# May they be installed here?
packages_may_install() {
	[ "${PLUMB_NO_INSTALL:-0}" != 1 ] && [ "$(id -u)" = 0 ]
}

# Before the first one is: packages must not start their daemons. A redis-server of ours is a test's child, not a service.
packages_begin() {
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		trap 'exit 1' INT TERM
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq >/dev/null
}
