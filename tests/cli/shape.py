#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""shape.py NAME: checks the JSON on standard input against the shape NAME below. Keys that end in "?"
may be missing; a list has one element shape; a set is a choice of values; (None, x) allows null."""

import json
import re
import sys


class Hex:
    def __init__(self, pattern):
        self.pattern = re.compile(pattern)


ADDRESS = Hex(r"0x[0-9a-f]+")
BUILD_ID = Hex(r"([0-9a-f]{2})*")
DIGEST = Hex(r"[0-9a-f]{64}")
FUNCTIONS = {"identical": int, "changed": int, "carried": int, "added": int, "removed": int}
TIME = Hex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
SECOND = Hex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DIGEST_OR_NONE = Hex(r"([0-9a-f]{64})?")
NUMBER = float  # of 0 or more
FINDING = {"code": Hex(r"[a-z0-9-]+"), "kind": {"update", "process", "advice"}, "subject": str, "detail": str}
VERDICT = {"hotpatch", "restart", "unchanged", "unsupported"}
GRADE = {"unproved", "consistent", "proved"}
CVE_STATE = {"not-affected", "current", "hotpatched", "unknown", "exposed-in-memory", "exposed"}
ASSESSED = {"unchanged", "hotpatch", "unknown", "restart"}
HEALTH = {"observing", "degraded", "confirmed", "unjudged"}
BASELINE = {"planned", "snapshot", "restarting", "settling", "done", "rolling-back", "rebooting", "rolled-back", "failed",
            "rollback-failed", "cancelled"}
SIDE = {"path": str, "build_id": BUILD_ID}

BUILD = {"file": str, "patch": (None, str), "digest": (None, DIGEST), "verdict": VERDICT, "grade": GRADE,
         "evidence": str, "functions": FUNCTIONS, "sites": int, "bytes": int, "old_build_id": BUILD_ID,
         "new_build_id": BUILD_ID, "findings": [FINDING], "usec": int, "peak_kib": int}
SHOW_SIDE = {"path": str, "version": str, "build_id": BUILD_ID, "lo": ADDRESS, "hi": ADDRESS}

SHAPES = {
    "diff": {"pairs": [{"file": str, "old": SIDE, "new": SIDE, "verdict": VERDICT, "grade": GRADE, "evidence": str,
                        "functions": FUNCTIONS, "findings": [FINDING], "usec": int, "peak_kib": int}],
             "only_old": [str], "only_new": [str]},
    "build": BUILD,
    "builds": {"patches": [BUILD]},
    "show": {"name": str, "digest": DIGEST, "executable": bool, "low_addresses": bool, "old": SHOW_SIDE,
             "new": SHOW_SIDE, "grade": GRADE, "evidence": str, "way_back": {"proved", "unproved"},
             "sites": [{"name": str, "old_addr": ADDRESS, "new_addr": ADDRESS, "jump_addr": ADDRESS,
                        "ranges": [{"addr": ADDRESS, "size": int}]}],
             "sections": [{"name": str, "addr": ADDRESS, "size": int, "executable": bool, "writable": bool}],
             "imports": [{"name": str, "version": str, "weak": bool, "function": bool}], "relocations": int,
             "findings": [FINDING]},
    "actions": {"processes": [{"pid": int, "comm": str, "outcome": {"patched", "reverted", "refused", "current", "error"},
                               "refusal": (None, {"code": Hex(r"[a-z0-9-]+"), "subject": str, "detail": str}),
                               "error": (None, str), "functions": int, "pause_usec": int, "pause_total_usec": int,
                               "stage_usec": int, "attempts": int, "threads": int, "private_bytes": int,
                               "shared_bytes": int}]},
    "status": {"processes": [{"pid": int, "comm": str, "unit": str,
                              "patches": [{"digest": DIGEST, "name": str, "old_build_id": BUILD_ID,
                                           "new_build_id": BUILD_ID,
                                           "state": {"staged", "switching", "active", "reverted"}, "sites": int,
                                           "sites_intact": int, "time": int, "image_base": ADDRESS,
                                           "shadow_base": ADDRESS, "way_back": {"proved", "unproved", "unknown"},
                                           "way_back_reason": str, "intact": bool}]}],
               "round?": (None, {"program": (None, str), "pid": (None, int), "begun": (None, TIME),
                                 "kind": (None, {"all", "started", "quarantine"}),
                                 "doing": (None, {"waits", "looks", "compares", "changes"}),
                                 "processes": (None, int), "at": (None, {"pid": int, "comm": str})})},
    "windows": {"windows": [{"name": str, "open": bool, "start": (None, TIME), "end": (None, TIME), "duration_sec": int,
                             "time_zone": str, "recur": str, "unit": [str]}]},
    "plan": {"steps": [{"subject": str, "images": [str], "reason": str, "window": (None, str), "start": (None, TIME),
                        "with": [str], "need_usec": int, "obstacle": (None, str), "machine": bool, "last_result": str}],
             "machine": (None, str), "reboot": {"IfRequired", "Never", "Always"}},
    "list": {"restarts": [{"subject": str, "image": str, "new_build_id": BUILD_ID, "reason": str, "detail": str, "packages": [str],
                           "cves": [Hex(r"CVE-[0-9]+-[0-9]+")], "cves_omitted": int, "since": str, "attempts": int,
                           "last_result": str, "when": (None, TIME), "window": (None, str),
                           "obstacle": (None, str)}],
             "quarantine": [{"digest": DIGEST, "image": str, "old_build_id": BUILD_ID, "new_build_id": BUILD_ID,
                             "reason": str, "since": str, "by_hand": bool}],
             "held": [{"package": str, "arch": str, "version": str, "baseline": int, "reason": str, "since": str}]},
    "converge": {"dry_run": bool,
                 "processes": [{"pid": int, "comm": str, "unit": str, "threads?": int, "attempts?": int,
                                "stage_usec?": int, "pause_total_usec?": int, "private_bytes?": int,
                                "shared_bytes?": int,
                                "images": [{"path": str, "old_build_id": BUILD_ID, "new_build_id": BUILD_ID,
                                            "patch_build_id?": BUILD_ID, "digest?": DIGEST,
                                            "outcome": {"patched", "hotpatch", "reverted", "revert", "restart", "current",
                                                        "error"},
                                            "functions": int, "pause_usec": int, "findings": [FINDING],
                                            "error": (None, str)}]}],
                 "pairs": [{"path": str, "old_build_id": BUILD_ID, "new_build_id": BUILD_ID, "verdict": VERDICT | {"error"},
                            "functions": FUNCTIONS, "digest": (None, DIGEST), "usec": int, "peak_kib": int}],
                 "summary": {"processes": int, "patched": int, "restart": int, "errors": int, "current": int,
                             "hotpatchable": int, "reverted": int, "revertible": int}},
    "health": {"subjects": [{"subject": str, "patch": (None, DIGEST), "patched": (None, TIME), "state": (None, HEALTH),
                             "series": [{"name": str, "measure": {"response", "cpu", "memory"}, "usual": (None, NUMBER),
                                         "last": (None, NUMBER), "results": int, "state?": HEALTH, "before?": (None, NUMBER),
                                         "after?": (None, NUMBER), "results_before?": int, "results_after?": int}]}]},
    "history": {"actions": [{"time": SECOND, "pid": int, "comm": str, "unit": str, "image": str, "old_build_id": BUILD_ID,
                             "new_build_id": BUILD_ID, "digest": DIGEST_OR_NONE, "action": {"apply", "revert", "restart"}, "outcome": str,
                             "reason": str, "detail": str, "functions": int, "pause_usec": int}],
                "baselines": [{"id": int, "time": SECOND, "changed": SECOND, "state": BASELINE, "reason": str}]},
    "snapshots": {"changes": [{"id": int, "time": TIME, "baseline": (None, int), "complete": bool, "reason": str,
                               "packages": [{"name": str, "arch": str, "old_version": str, "new_version": str,
                                             "copy": (None, {"kept", "archive", "rebuilt"}), "bytes": int}]}],
                  "snapshots": [{"id": int, "time": TIME, "provider": str, "name": str, "state": {"taking", "ready", "failed"},
                                 "reason": str, "change": (None, int)}]},
    "rollback": {"baseline": int, "state": {"rolled-back", "rebooting", "rollback-failed"}, "reason": str},
    "rollback-plan": {"baseline": int, "state": BASELINE, "units": [str], "snapshot": (None, str),
                      "packages": [{"name": str, "arch": str, "from": str, "to": (None, str), "done": bool}]},
    "event": {"time": TIME, "id": int, "kind": Hex(r"[a-z-]+"), "priority": int, "message": str, "fields": dict},
    "config": {"patch_mode": {"automatic", "assess-only", "manual"}, "safe_point_deadline_usec": int,
               "unresponsive_after_usec": int, "scan_interval_sec": int, "package_wait_sec": int,
               "package_restarts": {"allow", "hold"},
               "exclude": [{"by": {"unit", "user", "cgroup", "path"}, "pattern": str}],
               "accept": [{"package": str, "code": str}],
               "hook": [{"command": [str], "user": str, "timeout_usec": int}], "windows": int, "drains": int,
               "reboot": {"IfRequired", "Never", "Always"}, "restart_timeout_sec": int, "automatic_rollback": bool, "policy": dict},
    "doctor": {"checks": [{"group": {"Kernel", "Machine", "Agent"}, "name": Hex(r"[a-z-]+"),
                           "grade": {"ok", "warning", "problem", "not-applicable"}, "seen": str, "why": str, "todo": str}],
               "problems": int, "warnings": int},
    "cve": {"cves": [{"cve": Hex(r"CVE-[0-9]+-[0-9]+"), "state": CVE_STATE,
                      "packages": [{"package": str, "arch": str, "source": str, "installed": (None, str),
                                    "fixed": (None, str),
                                    "evidence": {"none", "changelog", "tracker", "changelog and tracker"},
                                    "fix_on_disk": bool, "fix_available": bool, "state": CVE_STATE,
                                    "images": [{"pid": int, "comm": str, "unit": str, "path": str, "state": CVE_STATE,
                                                "why": str, "build_id": BUILD_ID, "version": (None, str),
                                                "version_from": {"none", "installed", "recorded", "dpkg-log",
                                                                 "changelog-date"},
                                                "runs_version": (None, str), "patch": (None, DIGEST), "damaged": bool,
                                                "code_sha256": (None, DIGEST)}]}]}],
            "counts": {state: int for state in CVE_STATE}, "tracker": (None, str), "unknown_images": int,
            "images_elsewhere": int, "packages_without_changelog": int, "processes": int},
    "assess": {"upgrades": [{"package": str, "arch": str, "installed": (None, str), "candidate": str,
                             "file": (None, str), "cves": [str], "cves_known": bool, "outcome": ASSESSED,
                             "images": [{"path": str, "build_id": BUILD_ID, "new_build_id": BUILD_ID,
                                         "version": (None, str), "outcome": ASSESSED, "why": str,
                                         "functions": (None, FUNCTIONS), "findings": [FINDING],
                                         "processes": [{"pid": int, "comm": str, "unit": str}]}]}]},
}


def check(shape, value, where):
    if isinstance(shape, tuple):
        if value is not None:
            check(shape[1], value, where)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            sys.exit(f"{where}: not an object")
        known = {key.rstrip("?") for key in shape}
        for key in value:
            if key not in known:
                sys.exit(f"{where}.{key}: not in the shape")
        for key, inner in shape.items():
            if key.rstrip("?") in value:
                check(inner, value[key.rstrip("?")], f"{where}.{key.rstrip('?')}")
            elif not key.endswith("?"):
                sys.exit(f"{where}.{key}: missing")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            sys.exit(f"{where}: not a list")
        for i, item in enumerate(value):
            check(shape[0], item, f"{where}[{i}]")
    elif isinstance(shape, set):
        if value not in shape:
            sys.exit(f"{where}: {value!r} is none of {sorted(shape)}")
    elif isinstance(shape, Hex):
        if not isinstance(value, str) or not shape.pattern.fullmatch(value):
            sys.exit(f"{where}: {value!r} is not of the form {shape.pattern.pattern}")
    elif shape is int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            sys.exit(f"{where}: {value!r} is not a count")
    elif shape is NUMBER:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0:
            sys.exit(f"{where}: {value!r} is not a number of 0 or more")
    elif not isinstance(value, shape):
        sys.exit(f"{where}: {value!r} is not {shape.__name__}")


if __name__ == "__main__":
    check(SHAPES[sys.argv[1]], json.load(sys.stdin), "")
