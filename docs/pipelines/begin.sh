#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# begin.sh CLAIM.yaml TITLE [PATCH]: begins a verification inside of the collector, e.g. right after a canary was started, and prints its
# number. The jobs beside this file wait for the verdict with that title, e.g. the commit. The patch goes along as a file of its own: the
# collector reads none that the claim names. PLUMB_COLLECTOR (https://HOST:PORT) and PLUMB_TOKEN (role probe) come from the environment.
set -eu

[ $# -ge 2 ] || { echo "usage: begin.sh CLAIM.yaml TITLE [PATCH]" >&2; exit 2; }
body=$(jq -n --rawfile claim "$1" --arg title "$2" --rawfile patch "${3:-/dev/null}" \
	'{claim: $claim, title: $title} + (if $patch == "" then {} else {patch: $patch} end)')
# The token goes through a pipe: the command line is everybody's to see.
answer=$(printf '%s' "$body" | curl --fail-with-body --silent --show-error --header @/dev/fd/3 --data @- "$PLUMB_COLLECTOR/api/v1/verify" 3<<EOF
Authorization: Bearer $PLUMB_TOKEN
EOF
) || { printf '%s\n' "$answer" >&2; exit 1; }
printf '%s' "$answer" | jq .id
