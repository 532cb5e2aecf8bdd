#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Arrows point one way: base <- elf, dwarf, patch, proc, store <- build, apply, snapshot, report, verify <- deliver <- evidence <- cli, agent. Checks every
# #include "FOLDER/..." under src against the list below; prints what breaks it.
set -eu
cd "${1:-$(dirname "$0")/..}"

# What each folder may include besides itself.
allowed() {
        case $1 in
        base) echo ;;
        elf) echo base ;;
        dwarf | patch) echo base elf ;;
        proc) echo base elf ;;
        build) echo base elf dwarf patch ;;
        apply) echo base elf patch proc ;;
        store) echo base ;;
        snapshot) echo base store ;;
        report) echo base elf patch ;;
        verify) echo base elf proc ;;
        deliver) echo base elf dwarf patch proc build apply store snapshot report verify ;;
        evidence) echo base elf patch proc apply store report deliver ;;
        cli) echo base elf dwarf patch proc build apply deliver evidence store snapshot report verify ;;
        agent) echo base elf dwarf patch proc build apply deliver evidence store snapshot report verify ;;
        *) echo "?" ;;
        esac
}

folders=$(cd src && ls -d */ | tr -d /)
bad=0
checked=0
for folder in $folders; do
        may=$(allowed "$folder")
        if [ "$may" = "?" ]; then
                echo "src/$folder: no layer is given for this folder in tests/layers.sh"
                bad=$((bad + 1))
                continue
        fi
        for file in "src/$folder"/*.[ch]; do
                [ -e "$file" ] || continue
                checked=$((checked + 1))
                for other in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)\/[^"\/]*".*/\1/p' "$file"); do
                        case " $folder staunch $may " in
                        *" $other "*) ;;
                        *)
                                echo "$file: includes \"$other/...\", but src/$folder may only include: ${may:-itself}"
                                bad=$((bad + 1))
                                ;;
                        esac
                done
                lines=$(wc -l <"$file")
                if [ "$lines" -gt 800 ]; then
                        echo "$file: $lines lines; a file has one subject and at most 800"
                        bad=$((bad + 1))
                fi
                if ! head -n 1 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0'; then
                        echo "$file: the first line is not the SPDX line"
                        bad=$((bad + 1))
                fi
        done
done
[ "$checked" -gt 0 ] || { echo "no source was found"; exit 1; }
[ $bad = 0 ] || exit 1
echo "$checked files"
