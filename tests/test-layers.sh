#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The layer check itself: it must pass on what is allowed and name what is not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/src/base" "$tree/src/elf" "$tree/src/build"
spdx='/* SPDX-License-Identifier: Apache-2.0 */'
printf '%s\n#include "base/a.h"\n#include <stdio.h>\n' "$spdx" >"$tree/src/elf/x.c"
printf '%s\n' "$spdx" >"$tree/src/base/a.h"
"$here/layers.sh" "$tree" >/dev/null || { echo "an allowed include was refused"; exit 1; }

expect_refused() {
        if "$here/layers.sh" "$tree" >"$tree/out"; then
                echo "not noticed: $1"
                exit 1
        fi
        grep -q "$2" "$tree/out" || { echo "not named: $1"; cat "$tree/out"; exit 1; }
        rm "$tree/src/$2"
}
printf '%s\n # include "elf/image.h"\n' "$spdx" >"$tree/src/base/up.c"
expect_refused "an include that points up" base/up.c
printf '%s\n#include "apply/engine.h"\n' "$spdx" >"$tree/src/build/side.c"
expect_refused "an include of a folder beside" build/side.c
printf '#include <stdio.h>\n' >"$tree/src/base/bare.c"
expect_refused "a file without a license line" base/bare.c
{ echo "$spdx"; yes '' | head -n 800; } >"$tree/src/base/long.c"
expect_refused "a file that is too long" base/long.c
mkdir "$tree/src/new"
if "$here/layers.sh" "$tree" >/dev/null; then echo "a folder without a layer was not noticed"; exit 1; fi
echo ok
