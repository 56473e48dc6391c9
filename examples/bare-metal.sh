#!/bin/sh
# Test every product of this host's list on its own LXD, from cron or by hand. The
# environment file sets POLAR_ENDPOINT, POLAR_AUTH_TOKEN and TESTING_IMAGE_SERVER.
set -u
. /etc/icepak/environment
export POLAR_ENDPOINT POLAR_AUTH_TOKEN TESTING_IMAGE_SERVER

worst=0
while read -r product; do
	icepak test "$product" --remote local --promote --quiet </dev/null
	code=$?
	case $code in
	0) ;;
	1) echo "$product: does not work" >&2 ;;
	3) echo "$product: could not be tested, trying again tomorrow" >&2 ;;
	*) exit "$code" ;;
	esac
	[ "$code" -gt "$worst" ] && worst=$code
done </etc/icepak/products
exit "$worst"
