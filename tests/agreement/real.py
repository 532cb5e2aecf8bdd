#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""real.py STAUNCH BUILDS RESULT: for every pair that build.sh and carried.sh made, the layout grade of the
stripped files against what debug information says. Writes RESULT (JSON) and prints a table. Fails when
`consistent` is given where debug information shows a changed layout."""
import json
import os
import re
import subprocess
import sys
import tempfile

LAYOUT = {"layout-changed", "layout-shift", "allocation-size", "layout-unproved"}


def diff(staunch, old, new, *options):
    r = subprocess.run([staunch, "diff", "--json", *options, old, new], capture_output=True, text=True)
    if r.returncode not in (0, 3):
        raise RuntimeError(f"exit {r.returncode}: {r.stderr.strip()[:300]}")
    pairs = json.loads(r.stdout)["pairs"]
    return pairs[0] if pairs else None


def files(root):
    found = {}
    for d, _, names in os.walk(root):
        for n in names:
            p = os.path.join(d, n)
            with open(p, "rb") as f:
                if f.read(4) != b"\x7fELF":
                    continue
            # libexpat.so.1.8.10 and libexpat.so.1.9.0 are one file
            found.setdefault(re.sub(r"(\.so(\.\d+)?)[\d.]*$", r"\1", os.path.relpath(p, root)), p)
    return found


def version(d):
    with open(os.path.join(d, "version")) as f:
        return f.read().strip()


def one(staunch, package, name, old, new, scratch):
    stripped = []
    for which, path in (("old", old), ("new", new)):
        stripped.append(os.path.join(scratch, which))
        subprocess.run(["strip", "-s", "-o", stripped[-1], path], check=True)
    # Debug information of two packages of one update is that of the files themselves.
    dwarf = diff(staunch, old, new)
    bare = diff(staunch, *stripped, "--no-debug")
    if not dwarf or not bare or bare["verdict"] in ("unchanged", "unsupported"):
        return None
    codes = lambda p: sorted({f["code"] for f in p["findings"]})
    changes = [f"{f['subject']}: {f['detail']}" for f in dwarf["findings"] if f["code"] == "layout-changed"]
    if changes:
        truth = "changed"
    elif dwarf["grade"] == "proved":
        truth = "same"
    else:
        truth = "unknown"
    return {
        "package": package, "file": name,
        "dwarf": truth, "changes": changes[:5], "dwarf_codes": codes(dwarf), "evidence": dwarf.get("evidence"),
        "grade": bare["grade"], "verdict": bare["verdict"], "codes": codes(bare), "functions": bare["functions"],
        "dwarf_verdict": dwarf["verdict"],
        "agree": None if truth == "unknown" else (bare["grade"] == "consistent") == (truth == "same"),
        "wrong": truth == "changed" and bare["grade"] == "consistent",
    }


def hotpatchable(rows, verdict):
    """Files, and source packages all of whose changed files are: a restart for one file is a restart for its service."""
    sources = {}
    for r in rows:
        sources.setdefault(r["package"], []).append(r[verdict] == "hotpatch")
    return {"files": sum(r[verdict] == "hotpatch" for r in rows), "sources": sum(map(all, sources.values()))}


def main():
    staunch, builds, result = sys.argv[1:]
    rows = []
    for package in sorted(os.listdir(builds)):
        root = os.path.join(builds, package)
        if not os.path.exists(os.path.join(root, ".done")):
            continue
        old, new = files(os.path.join(root, "old")), files(os.path.join(root, "new"))
        for name in sorted(set(old) & set(new)):
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    row = one(os.path.abspath(staunch), package, name, old[name], new[name], scratch)
                except (RuntimeError, subprocess.CalledProcessError) as e:
                    print(f"{package} {name}: {e}", file=sys.stderr)
                    rows.append({"package": package, "file": name, "error": str(e)})
                    continue
            if row:
                row["old"], row["new"] = version(os.path.join(root, "old")), version(os.path.join(root, "new"))
                rows.append(row)
    good = [r for r in rows if "error" not in r]
    same = [r for r in good if r["dwarf"] == "same"]
    changed = [r for r in good if r["dwarf"] == "changed"]
    summary = {
        "pairs": len(good), "errors": len(rows) - len(good), "unknown": len(good) - len(same) - len(changed),
        "same": len(same), "same_consistent": sum(r["grade"] == "consistent" for r in same),
        "changed": len(changed), "changed_consistent": sum(r["wrong"] for r in changed),
        "sources": len({r["package"] for r in good}),
        "hotpatch": hotpatchable(good, "verdict"), "hotpatch_with_debug": hotpatchable(good, "dwarf_verdict"),
    }
    os.makedirs(os.path.dirname(os.path.abspath(result)), exist_ok=True)
    with open(result, "w") as f:
        json.dump({"pairs": rows, "summary": summary}, f, indent=1)
    print(f"{'package':30} {'file':34} {'DWARF':8} {'stripped':11} agree")
    for r in good:
        agree = {True: "yes", False: "WRONG" if r["wrong"] else "no", None: "-"}[r["agree"]]
        print(f"{r['package'][:30]:30} {r['file'][-34:]:34} {r['dwarf']:8} {r['grade']:11} {agree:5} "
              f"{','.join(c for c in r['codes'] if c in LAYOUT)}")
    print(f"layout the same by DWARF: {summary['same']}, of these consistent without: {summary['same_consistent']}")
    print(f"layout changed by DWARF: {summary['changed']}, of these consistent without (wrong): "
          f"{summary['changed_consistent']}")
    for what, key in (("stripped", "hotpatch"), ("with debug information", "hotpatch_with_debug")):
        print(f"hotpatchable, {what}: {summary[key]['files']} of {len(good)} files, "
              f"{summary[key]['sources']} of {summary['sources']} sources")
    wrong = summary["changed_consistent"] + summary["errors"]
    print(f"{len(good) - summary['changed_consistent']} passed, {wrong} failed")
    return 1 if wrong or not good else 0


if __name__ == "__main__":
    sys.exit(main())
