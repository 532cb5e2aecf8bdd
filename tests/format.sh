#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# format.sh [--fix] [ROOT]: the C sources are as .clang-format wants them; --fix makes them so. Other versions of
# clang-format break lines elsewhere, so only the one of Debian 12 judges. Scenarios and pairs, each a small program
# whose text is the point, are left as they were written.
set -eu
mode='--dry-run -Werror'
if [ "${1:-}" = --fix ]; then
        mode=-i
        shift
fi
cd "${1:-$(dirname "$0")/..}"

version=$(clang-format --version 2>/dev/null) || { echo "clang-format is not installed"; exit 77; }
case $version in
*" version 14."*) ;;
*) echo "clang-format 14 is needed; this is: $version"; exit 77 ;;
esac

find src bench tests -name '*.[ch]' -not -path 'tests/scenarios/*' -not -path 'tests/agreement/pairs/*' |
        sort | xargs clang-format $mode
