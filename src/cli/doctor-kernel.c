/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/doctor.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

/* What the kernel must be able to do, and what it lets this program do. */

/* close_range(2), and the oldest kernel that the tests ran on: docs/guide.md. */
enum { LEAST = 5 << 16 | 9, TRIED = 6 << 16 | 1 };

static DoctorFinding kernel(const Doctor *d) {
        const char *release = doctor_read(d, "/proc/sys/kernel/osrelease");
        unsigned major, minor;

        if (!release || sscanf(release, "%u.%u", &major, &minor) != 2)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "no running kernel is to be seen");
        if ((major << 16 | minor) < LEAST)
                return doctor_found(d, DOCTOR_PROBLEM, "Run a kernel of 6.1 or newer (Debian 12 has it).",
                                    "Linux %s", release);
        if ((major << 16 | minor) < TRIED)
                return doctor_found(d, DOCTOR_WARNING,
                                    "Run a kernel of 6.1 or newer; with this one nobody has tried it.",
                                    "Linux %s", release);
        return doctor_found(d, DOCTOR_OK, "", "Linux %s", release);
}

static DoctorFinding ptrace_scope(const Doctor *d) {
        const char *scope = doctor_read(d, "/proc/sys/kernel/yama/ptrace_scope");

        if (!scope)
                return doctor_found(d, DOCTOR_OK, "", "the kernel has no Yama: root may trace");
        if (strcmp(scope, "3") == 0)
                return doctor_found(
                        d, DOCTOR_PROBLEM,
                        "It can't be lowered while the machine runs: write 'kernel.yama.ptrace_scope = 2' "
                        "where 3 was "
                        "set (/etc/sysctl.conf, /etc/sysctl.d) and reboot. Root alone may trace then.",
                        "kernel.yama.ptrace_scope is 3: nobody may trace, root neither");
        return doctor_found(d, DOCTOR_OK, "", "kernel.yama.ptrace_scope is %s: root may trace", scope);
}

static DoctorFinding process_events(const Doctor *d) {
        const char *list = doctor_read(d, "/proc/net/connector");

        if (list && strstr(list, "cn_proc"))
                return doctor_found(d, DOCTOR_OK, "", "the connector is there");
        return doctor_found(
                d, DOCTOR_WARNING,
                "Needs CONFIG_CONNECTOR and CONFIG_PROC_EVENTS, and the machine's own network namespace: run "
                "the agent "
                "on the machine, not in a container. Without it lower scan_interval in the policy.",
                "no process events connector here");
}

static DoctorFinding seccomp(const Doctor *d) {
        const char *actions = doctor_read(d, "/proc/sys/kernel/seccomp/actions_avail");

        if (actions && strstr(actions, "errno"))
                return doctor_found(d, DOCTOR_OK, "", "filters are there (%s)", actions);
        return doctor_found(d, DOCTOR_WARNING,
                            "Run a kernel with CONFIG_SECCOMP_FILTER (every distribution's has it).",
                            "the kernel has no seccomp filters");
}

static DoctorFinding own_filter(const Doctor *d) {
        const char *mode = doctor_status(d, "Seccomp");

        if (!mode)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "not to be seen");
        if (*mode == '0')
                return doctor_found(d, DOCTOR_OK, "", "none");
        return doctor_found(d, DOCTOR_WARNING,
                            "If attaching to processes fails with 'Operation not permitted', it is this "
                            "filter: run outside of the "
                            "container, or with its seccomp profile off (--security-opt seccomp=unconfined).",
                            "this program runs under a seccomp filter");
}

static DoctorFinding landlock(const Doctor *d) {
        if (d->system.landlock_abi < 0)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "only a running kernel says");
        if (d->system.landlock_abi > 0)
                return doctor_found(d, DOCTOR_OK, "", "version %d", d->system.landlock_abi);
        return doctor_found(d, DOCTOR_WARNING,
                            "Add 'landlock' to the list in the kernel's lsm= parameter, or run one with "
                            "CONFIG_SECURITY_LANDLOCK. "
                            "The vault's other limits hold without it.",
                            "the kernel has no Landlock, or it is not switched on");
}

static DoctorFinding shared_memory(const Doctor *d) {
        if (d->system.kcmp < 0)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "only a running kernel says");
        if (d->system.kcmp)
                return doctor_found(d, DOCTOR_OK, "", "kcmp(2) is there");
        return doctor_found(d, DOCTOR_PROBLEM, "Run a kernel with CONFIG_KCMP (every distribution's has it).",
                            "the kernel has no kcmp(2)");
}

static const struct {
        unsigned number;
        const char *name;
        bool vital;
} needed[] = {
        { CAP_SYS_PTRACE, "SYS_PTRACE", true },
        { CAP_SYS_ADMIN, "SYS_ADMIN", false },
        { CAP_DAC_OVERRIDE, "DAC_OVERRIDE", false },
        { CAP_DAC_READ_SEARCH, "DAC_READ_SEARCH", false },
        { CAP_KILL, "KILL", false },
        { CAP_NET_ADMIN, "NET_ADMIN", false },
        { CAP_SYS_NICE, "SYS_NICE", false },
        { CAP_SYSLOG, "SYSLOG", false },
        { CAP_SETUID, "SETUID", false },
        { CAP_SETGID, "SETGID", false },
        { CAP_SETPCAP, "SETPCAP", false },
        { CAP_SYS_RESOURCE, "SYS_RESOURCE", false },
};

static DoctorFinding capabilities(const Doctor *d) {
        const char *text = doctor_status(d, "CapEff"), *uid = doctor_status(d, "Uid");
        char lacking[512] = "";
        unsigned long long have;
        bool vital = false;
        size_t n = 0;

        if (!text || sscanf(text, "%llx", &have) != 1)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "not to be seen");
        if (uid && *uid != '0')
                return doctor_found(
                        d, DOCTOR_WARNING,
                        "Run 'staunch doctor' as root: what others see is not what the agent has.",
                        "this program does not run as root");
        for (size_t i = 0; i < ELEMENTSOF(needed); i++)
                if (!(have >> needed[i].number & 1)) {
                        n += (size_t)snprintf(lacking + n, sizeof(lacking) - n, " CAP_%s", needed[i].name);
                        vital |= needed[i].vital;
                }
        if (!n)
                return doctor_found(d, DOCTOR_OK, "", "root has all that the agent keeps");
        return doctor_found(d, vital ? DOCTOR_PROBLEM : DOCTOR_WARNING,
                            "In a container: add them (--cap-add). In a unit: CapabilityBoundingSet= must "
                            "not take them away.",
                            "lacking:%s", lacking);
}

static DoctorFinding container(const Doctor *d) {
        const char *kind = doctor_read(d, "/run/systemd/container");

        if (!kind && doctor_exists(d, "/.dockerenv"))
                kind = "docker";
        if (!kind && doctor_exists(d, "/run/.containerenv"))
                kind = "podman";
        if (!kind)
                return doctor_found(d, DOCTOR_OK, "", "none");
        return doctor_found(d, DOCTOR_WARNING,
                            "Run the agent on the machine: it patches the processes of containers as well.",
                            "inside a container (%s): only its own processes are seen", kind);
}

static DoctorFinding crash_lines(const Doctor *d) {
        const char *trace = doctor_read(d, "/proc/sys/debug/exception-trace");

        if (!trace)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "not to be seen");
        if (strcmp(trace, "0") != 0)
                return doctor_found(d, DOCTOR_OK, "", "debug.exception-trace is %s", trace);
        return doctor_found(d, DOCTOR_WARNING,
                            "sysctl -w debug.exception-trace=1, and the same in a file in /etc/sysctl.d.",
                            "debug.exception-trace is 0: the kernel does not say where a process crashed");
}

static DoctorFinding livepatch(const Doctor *d) {
        if (doctor_exists(d, "/sys/kernel/livepatch"))
                return doctor_found(d, DOCTOR_OK, "", "the kernel can be live patched; %zu loaded",
                                    doctor_count(d, "/sys/kernel/livepatch", ""));
        return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "this kernel has no CONFIG_LIVEPATCH");
}

static DoctorFinding lockdown(const Doctor *d) {
        const char *state = doctor_read(d, "/sys/kernel/security/lockdown");

        if (!state)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "this kernel has no lockdown");
        return doctor_found(
                d, DOCTOR_OK, "", "%s",
                strstr(state, "[none]")
                        ? "off"
                        : "on: the kernel takes only signed modules; processes are patched as ever");
}

const DoctorCheck doctor_kernel[] = {
        { "kernel", "What is used of the kernel is there since Linux 5.9, and was tried from 6.1 on.",
          kernel },
        { "ptrace-scope", "Processes are stopped and changed with ptrace.", ptrace_scope },
        { "process-events", "The agent is told of processes that start an outdated image, and of crashes.",
          process_events },
        { "seccomp", "The agent's processes are narrowed to the system calls that they need.", seccomp },
        { "own-filter", "A filter over this program may forbid what patching needs.", own_filter },
        { "landlock", "The vault, which reads hostile files, may open nothing by name but debug information.",
          landlock },
        { "shared-memory", "All processes that share memory with one must be stopped with it.",
          shared_memory },
        { "capabilities", "Other users' processes are read and changed.", capabilities },
        { "container", "What runs beside a container is not seen from inside.", container },
        { "crash-lines",
          "A patch is taken out at the first crash inside it; without the place, at the third.",
          crash_lines },
        { "livepatch", "An update of the kernel itself needs a reboot where it can't be live patched.",
          livepatch },
        { "lockdown", "It limits what may be loaded into the kernel.", lockdown },
        { 0 },
};
