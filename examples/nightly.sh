#!/bin/sh
# A whole night: test all that is in the testing channel and has not passed, on two LXD servers, promote what has
# passed everything, and keep the reports of a week. From cron, as a user whose lxc client knows rack1 and rack2. The environment file
# sets POLAR_ENDPOINT, POLAR_AUTH_TOKEN and TESTING_IMAGE_SERVER.
set -u
. /etc/icepak/environment
export POLAR_ENDPOINT POLAR_AUTH_TOKEN TESTING_IMAGE_SERVER

night=${ICEPAK_REPORTS:-/var/log/icepak}/$(date +%Y-%m-%d)
mkdir -p "$night" || exit 3

icepak test --pending --promote --remote rack1 --remote rack2 --artifacts "$night" \
	--format text="$night/report.txt" --format html="$night/report.html" --format json="$night/report.json" 2>"$night/progress.txt"
code=$?
case $code in
0) ;;
1) echo "some images do not work: see $night/report.html" >&2 ;;
3) echo "some images could not be tested; --pending takes them up again tomorrow: see $night/report.html" >&2 ;;
*) tail -n 5 "$night/progress.txt" >&2 ;;
esac
find "$(dirname "$night")" -mindepth 1 -maxdepth 1 -name '????-??-??' -mtime +7 -exec rm -r {} +
exit "$code"
