#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pairs written for the layout verdict: what `staunch diff` says of the stripped builds against what it
says with debug information, for each compiler and optimisation level.

    pairs.py STAUNCH [--levels O0,O2] [--compilers gcc,clang] [--only NAME] [--half] [--json FILE] [-j N]

pairs/known.txt lists what is known to be judged wrongly, as "PAIR COMPILER LEVEL REASON" with * for any:
those are shown and do not fail; one that is judged rightly by now is pointed out. A level that ends with
/debug means: with debug information only.

A pair whose name starts with same- keeps its layout; every other one changes it, those with hidden- in a
way that types do not tell. Fails when a changed layout is judged hotpatchable without debug information
(a hidden one: with it, too), when debug information does not show the change, or when it shows one
where there is none.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pairs")
CXX = {"gcc": "g++", "clang": "clang++"}


def shared(compiler, level, folder):
    """What all pairs of a compiler and level are linked with, which has no new version: an object and a library."""
    o, foreign = os.path.join(folder, f"shared-{compiler}-{level}.o"), os.path.join(folder, compiler, "foreign.so")
    compile_one(compiler, level, [], "shared.c", o)
    if not os.path.exists(foreign):
        os.mkdir(os.path.dirname(foreign))
        subprocess.run([compiler, "-shared", "-fPIC", "-Wl,-soname,foreign.so", "foreign.c", "-o", foreign], cwd=HERE, check=True)
    return [o, foreign]


def compile_one(compiler, level, options, text, out):
    tool = CXX[compiler] if text.endswith(".cc") else compiler
    standalone = ["-fstandalone-debug"] if compiler == "clang" else []
    subprocess.run([tool, f"-{level}", "-g", *standalone, "-fPIE", *options, "-c", text, "-o", out],
                   cwd=HERE, check=True, stderr=subprocess.DEVNULL)


def build(source, compiler, level, new, out, others):
    o = f"{out}.{source}.o"
    compile_one(compiler, level, ["-DNEW"] if new else [], source, o)
    subprocess.run([CXX[compiler] if source.endswith(".cc") else compiler, "-pie", "-Wl,--build-id,--as-needed", o, *others,
                    "-o", out], check=True)
    subprocess.run(["strip", "-s", "-o", out + ".stripped", out], check=True)


def diff(staunch, old, new, *options):
    r = subprocess.run([staunch, "diff", "--json", *options, old, new], capture_output=True, text=True)
    if r.returncode not in (0, 3):
        raise RuntimeError(f"staunch diff {' '.join(options)} {old} {new}: exit {r.returncode}: {r.stderr.strip()}")
    return json.loads(r.stdout)["pairs"][0]


def one(staunch, others, source, compiler, level):
    with tempfile.TemporaryDirectory() as d:
        old, new = os.path.join(d, "old"), os.path.join(d, "new")
        build(source, compiler, level, False, old, others[compiler, level])
        build(source, compiler, level, True, new, others[compiler, level])
        dwarf = diff(staunch, old, new)
        bare = diff(staunch, old + ".stripped", new + ".stripped", "--no-debug")
    codes = lambda p: sorted({f["code"] for f in p["findings"]})
    return {
        "pair": source.rsplit(".", 1)[0], "compiler": compiler, "level": level,
        "changed": not source.startswith("same-"), "hidden": source.startswith("hidden-"),
        "dwarf": {"changed": "layout-changed" in codes(dwarf), "verdict": dwarf["verdict"], "grade": dwarf["grade"],
                  "codes": codes(dwarf)},
        "stripped": {"verdict": bare["verdict"], "grade": bare["grade"], "codes": codes(bare)},
    }


def read_known():
    known = []
    with open(os.path.join(HERE, "known.txt")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                pair, compiler, level, reason = line.split(maxsplit=3)
                known.append((pair, compiler, level, reason.strip()))
    return known


def main():
    p = argparse.ArgumentParser()
    p.add_argument("staunch")
    p.add_argument("--levels", default="O0,O1,O2,O3")
    p.add_argument("--compilers", default="gcc,clang")
    p.add_argument("--only")
    p.add_argument("--half", action="store_true",
                   help="every other level of each pair: those of clang are the ones that gcc leaves out")
    p.add_argument("--json")
    p.add_argument("-j", type=int, default=2)
    a = p.parse_args()
    sources = sorted(f for f in os.listdir(HERE) if f.endswith((".c", ".cc")) and f not in ("shared.c", "foreign.c"))
    if a.only:
        sources = [s for s in sources if a.only in s]
    compilers = [c for c in a.compilers.split(",") if shutil.which(c) and shutil.which(CXX[c])]
    jobs = [(s, c, level) for s in sources for k, c in enumerate(compilers) for n, level in enumerate(a.levels.split(","))
            if not a.half or (zlib.crc32(s.encode()) + k + n) % 2 == 0]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(a.j) as pool:
        others = {(c, level): shared(c, level, folder) for c in compilers for level in a.levels.split(",")}
        results = list(pool.map(lambda j: one(os.path.abspath(a.staunch), others, *j), jobs))
    known, met = read_known(), set()
    wrong = 0
    tally = collections.Counter()
    for r in results:
        where = f"{r['pair']} ({r['compiler']} -{r['level']})"
        if not r["hidden"] and r["changed"] != r["dwarf"]["changed"]:
            print(f"WRONG {where}: debug information says {'changed' if r['dwarf']['changed'] else 'not changed'}")
            wrong += 1
        for way in ("stripped", "dwarf") if r["hidden"] else ("stripped",):
            if not r["changed"] or r[way]["verdict"] in ("restart", "unsupported"):
                continue
            levels = ("*", r["level"]) if way == "stripped" else ("*", r["level"], "*/debug", r["level"] + "/debug")
            reason = next((k for k in known if k[0] == r["pair"] and k[1] in ("*", r["compiler"]) and
                           k[2] in levels), None)
            print(f"{'known' if reason else 'WRONG'} {where}: the layout changed, and with{'' if way == 'dwarf' else 'out'} "
                  f"debug information the verdict is {r[way]['verdict']} ({r[way]['grade']})"
                  + (f": {reason[3]}" if reason else ""))
            met.add(reason)
            wrong += not reason
        tally["changed" if r["changed"] else "same", r["stripped"]["verdict"]] += 1
        if not r["changed"] and r["stripped"]["verdict"] == "restart":
            print(f"missed {where}: {', '.join(r['stripped']['codes'])}")
    tried = {(r["pair"], r["compiler"], r["level"]) for r in results}
    for k in known:
        if k not in met and any(k[0] == p and k[1] in ("*", c) and k[2].split("/")[0] in ("*", lv) for p, c, lv in tried):
            print(f"note: {' '.join(k[:3])} is judged rightly now: take it off known.txt")
    for (kind, verdict), n in sorted(tally.items()):
        print(f"layout {kind}: {verdict} {n}")
    if a.json:
        with open(a.json, "w") as f:
            json.dump(results, f, indent=1)
    print(f"{max(len(results) - wrong, 0)} passed, {wrong} failed")
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main())
