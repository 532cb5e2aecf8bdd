#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""before.py TREE: takes the patches of a Debian source package's last update off its series, which
gives the source as it was before. Prints their names; exits 1 when the update came with no patches."""
import os
import re
import sys

tree = sys.argv[1]
series = os.path.join(tree, "debian/patches/series")
if not os.path.exists(series):
    sys.exit(1)
with open(series) as f:
    lines = f.read().splitlines()
with open(os.path.join(tree, "debian/changelog"), errors="replace") as f:
    stanzas = re.split(r"^(?=\S+ \()", f.read(), flags=re.M)[1:]


def belongs(patch, stanza):
    name = os.path.basename(patch)
    if name in stanza or os.path.splitext(name)[0] in stanza:
        return True
    ids = re.findall(r"CVE-\d+-\d+", name, re.I)
    return bool(ids) and all(i.upper() in stanza.upper() for i in ids)


# An update that has none (a rebuild, a new upstream release) is passed over for the one before it.
for stanza in stanzas[:4]:
    drop = [p for p in (line.split("#")[0].split()[:1] for line in lines) if p and belongs(p[0], stanza)]
    drop = [p[0] for p in drop]
    if drop:
        with open(series, "w") as f:
            f.writelines(line + "\n" for line in lines if line.split("#")[0].split()[:1] not in [[d] for d in drop])
        print(" ".join(drop))
        sys.exit(0)
# None is named: the last of the series is the latest.
entries = [i for i, line in enumerate(lines) if line.split("#")[0].strip()]
if not entries:
    sys.exit(1)
print(lines.pop(entries[-1]).strip())
with open(series, "w") as f:
    f.writelines(line + "\n" for line in lines)
