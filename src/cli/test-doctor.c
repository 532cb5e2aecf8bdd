/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/doctor.h"
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A machine described in a folder. */
typedef struct Machine {
        char root[64];
        Doctor d;
} Machine;

static int setup(void **state) {
        Machine *m = calloc(1, sizeof(*m));

        strcpy(m->root, "/tmp/staunch-doctor-XXXXXX");
        if (!mkdtemp(m->root))
                return -1;
        doctor_init(&m->d, m->root);
        *state = m;
        return 0;
}

static int teardown(void **state) {
        Machine *m = *state;
        char command[128];

        snprintf(command, sizeof(command), "rm -r %s", m->root);
        doctor_free(&m->d);
        free(m);
        return system(command);
}

static void folder(Machine *m, const char *path) {
        char command[512];

        snprintf(command, sizeof(command), "mkdir -p %s%s", m->root, path);
        assert_int_equal(system(command), 0);
}

static void file_of(Machine *m, const char *path, const void *bytes, size_t n) {
        char whole[512];
        FILE *f;

        snprintf(whole, sizeof(whole), "%.*s", (int)(strrchr(path, '/') - path), path);
        folder(m, whole);
        snprintf(whole, sizeof(whole), "%s%s", m->root, path);
        f = fopen(whole, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, n, f), n);
        fclose(f);
}

static void file(Machine *m, const char *path, const char *text) {
        file_of(m, path, text, strlen(text));
}

static void gone(Machine *m, const char *path) {
        char whole[512];

        snprintf(whole, sizeof(whole), "%s%s", m->root, path);
        assert_int_equal(remove(whole), 0);
}

/* The check of this name finds this, and says so with this text in it; whoever is to do something is told
 * what. */
static void finds(Machine *m, const char *name, DoctorGrade grade, const char *part) {
        const DoctorCheck *const tables[] = { doctor_kernel, doctor_machine, doctor_agent };

        for (size_t t = 0; t < ELEMENTSOF(tables); t++)
                for (const DoctorCheck *c = tables[t]; c->name; c++) {
                        DoctorFinding f;

                        if (strcmp(c->name, name) != 0)
                                continue;
                        f = c->look(&m->d);
                        if (f.grade != grade || !strstr(f.seen, part))
                                fail_msg("%s: %s: %s", name, doctor_grade_text(f.grade), f.seen);
                        assert_int_equal(*f.todo != 0, grade == DOCTOR_WARNING || grade == DOCTOR_PROBLEM);
                        return;
                }
        fail_msg("there is no check '%s'", name);
}

static void kernel_is_judged(void **state) {
        Machine *m = *state;

        finds(m, "kernel", DOCTOR_NOT_APPLICABLE, "");
        file(m, "/proc/sys/kernel/osrelease", "6.1.0-40-amd64\n");
        finds(m, "kernel", DOCTOR_OK, "Linux 6.1.0-40-amd64");
        file(m, "/proc/sys/kernel/osrelease", "5.10.0-9\n");
        finds(m, "kernel", DOCTOR_WARNING, "5.10");
        file(m, "/proc/sys/kernel/osrelease", "4.19.0\n");
        finds(m, "kernel", DOCTOR_PROBLEM, "4.19");

        finds(m, "ptrace-scope", DOCTOR_OK, "no Yama");
        file(m, "/proc/sys/kernel/yama/ptrace_scope", "2\n");
        finds(m, "ptrace-scope", DOCTOR_OK, "2");
        file(m, "/proc/sys/kernel/yama/ptrace_scope", "3\n");
        finds(m, "ptrace-scope", DOCTOR_PROBLEM, "is 3");

        finds(m, "process-events", DOCTOR_WARNING, "no process events");
        file(m, "/proc/net/connector", "Name            ID\ncn_proc         1:1\n");
        finds(m, "process-events", DOCTOR_OK, "");

        finds(m, "seccomp", DOCTOR_WARNING, "");
        file(m, "/proc/sys/kernel/seccomp/actions_avail", "kill_process errno allow\n");
        finds(m, "seccomp", DOCTOR_OK, "errno");

        finds(m, "crash-lines", DOCTOR_NOT_APPLICABLE, "");
        file(m, "/proc/sys/debug/exception-trace", "0\n");
        finds(m, "crash-lines", DOCTOR_WARNING, "is 0");
        file(m, "/proc/sys/debug/exception-trace", "1\n");
        finds(m, "crash-lines", DOCTOR_OK, "");

        finds(m, "livepatch", DOCTOR_NOT_APPLICABLE, "");
        folder(m, "/sys/kernel/livepatch/mended");
        finds(m, "livepatch", DOCTOR_OK, "1 loaded");
        finds(m, "lockdown", DOCTOR_NOT_APPLICABLE, "");
        file(m, "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
        finds(m, "lockdown", DOCTOR_OK, "on:");
        file(m, "/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
        finds(m, "lockdown", DOCTOR_OK, "off");

        finds(m, "landlock", DOCTOR_NOT_APPLICABLE, "");
        finds(m, "shared-memory", DOCTOR_NOT_APPLICABLE, "");
        m->d.system = (DoctorSystem){ .landlock_abi = 0, .kcmp = 0 };
        finds(m, "landlock", DOCTOR_WARNING, "");
        finds(m, "shared-memory", DOCTOR_PROBLEM, "");
        m->d.system = (DoctorSystem){ .landlock_abi = 2, .kcmp = 1 };
        finds(m, "landlock", DOCTOR_OK, "version 2");
        finds(m, "shared-memory", DOCTOR_OK, "");
}

static void rights_are_judged(void **state) {
        Machine *m = *state;

        finds(m, "capabilities", DOCTOR_NOT_APPLICABLE, "");
        finds(m, "own-filter", DOCTOR_NOT_APPLICABLE, "");
        file(m, "/proc/self/status", "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n");
        finds(m, "capabilities", DOCTOR_OK, "");
        finds(m, "own-filter", DOCTOR_OK, "");
        /* What docker gives by default. */
        file(m, "/proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n");
        finds(m, "capabilities", DOCTOR_PROBLEM, "CAP_SYS_PTRACE");
        finds(m, "own-filter", DOCTOR_WARNING, "");
        file(m, "/proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffefff\n"); /* without NET_ADMIN */
        finds(m, "capabilities", DOCTOR_WARNING, "lacking: CAP_NET_ADMIN");
        file(m, "/proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n");
        finds(m, "capabilities", DOCTOR_WARNING, "not run as root");

        finds(m, "container", DOCTOR_OK, "");
        file(m, "/.dockerenv", "");
        finds(m, "container", DOCTOR_WARNING, "docker");
        file(m, "/run/systemd/container", "lxc\n");
        finds(m, "container", DOCTOR_WARNING, "lxc");
}

static void machine_is_judged(void **state) {
        static const char secure[] = { 6, 0, 0, 0, 1 }, insecure[] = { 6, 0, 0, 0, 0 };
        static const char variable[] =
                "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
        Machine *m = *state;

        finds(m, "firmware", DOCTOR_NOT_APPLICABLE, "");
        folder(m, "/sys/firmware");
        finds(m, "firmware", DOCTOR_OK, "generation 1");
        finds(m, "secure-boot", DOCTOR_NOT_APPLICABLE, "");
        file_of(m, variable, secure, sizeof(secure));
        finds(m, "firmware", DOCTOR_OK, "generation 2");
        finds(m, "secure-boot", DOCTOR_OK, "on");
        file_of(m, variable, insecure, sizeof(insecure));
        finds(m, "secure-boot", DOCTOR_OK, "off");

        finds(m, "snapshots", DOCTOR_NOT_APPLICABLE, "");
        file(m, "/proc/self/mounts",
             "rootfs / rootfs rw 0 0\n/dev/sda1 / btrfs rw 0 0\nproc /proc proc rw 0 0\n");
        finds(m, "snapshots", DOCTOR_OK, "btrfs");
        file(m, "/proc/self/mounts", "/dev/mapper/the--group-root / ext4 rw 0 0\n");
        finds(m, "snapshots", DOCTOR_WARNING, "ext4");
        file(m, "/etc/lvm/backup/the-group", "logical_volumes { root { segment1 { type = \"thin\" } } }\n");
        finds(m, "snapshots", DOCTOR_OK, "thin");

        finds(m, "time-zone", DOCTOR_WARNING, "no time zones");
        folder(m, "/usr/share/zoneinfo");
        finds(m, "time-zone", DOCTOR_WARNING, "UTC");
        file(m, "/etc/timezone", "Europe/Berlin\n");
        finds(m, "time-zone", DOCTOR_OK, "Europe/Berlin");
        finds(m, "clock", DOCTOR_NOT_APPLICABLE, "");
        m->d.system.clock_synced = 0;
        finds(m, "clock", DOCTOR_WARNING, "");
        m->d.system.clock_synced = 1;
        finds(m, "clock", DOCTOR_OK, "");

        finds(m, "journal", DOCTOR_OK, "events.jsonl");
        file(m, "/run/systemd/journal/socket", "");
        finds(m, "journal", DOCTOR_WARNING, "forgotten");
        folder(m, "/var/log/journal");
        finds(m, "journal", DOCTOR_OK, "kept");
        finds(m, "reboot", DOCTOR_OK, "");
        file(m, "/run/reboot-required", "");
        file(m, "/run/reboot-required.pkgs", "linux-image-6.1.0-41-amd64\n");
        finds(m, "reboot", DOCTOR_WARNING, "linux-image");
}

static void packages_are_judged(void **state) {
        Machine *m = *state;

        finds(m, "package-hook", DOCTOR_WARNING, "no dpkg");
        file(m, "/var/lib/dpkg/status", "");
        finds(m, "package-hook", DOCTOR_WARNING, "missing");
        file(m, "/etc/apt/apt.conf.d/60staunch", "");
        finds(m, "package-hook", DOCTOR_OK, "");

        finds(m, "needrestart", DOCTOR_OK, "not installed");
        file(m, "/etc/needrestart/needrestart.conf", "# Restart mode\n#$nrconf{restart} = 'l';\n");
        finds(m, "needrestart", DOCTOR_WARNING, "asks");
        file(m, "/etc/needrestart/needrestart.conf", "  $nrconf{restart} = \"a\";\n");
        finds(m, "needrestart", DOCTOR_WARNING, "restarts services");
        file(m, "/etc/needrestart/conf.d/staunch.conf", "$nrconf{restart} = 'l';\n");
        finds(m, "needrestart", DOCTOR_OK, "lists");
        finds(m, "package-scripts", DOCTOR_OK, "may restart");
        file(m, "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");
        finds(m, "package-scripts", DOCTOR_OK, "policy-rc.d");

        finds(m, "debug-information", DOCTOR_WARNING, "none");
        folder(m, "/usr/lib/debug/.build-id/00");
        finds(m, "debug-information", DOCTOR_OK, "");
        finds(m, "debuginfod", DOCTOR_NOT_APPLICABLE, "");
        file(m, "/etc/debuginfod/debian.urls", "");
        finds(m, "debuginfod", DOCTOR_OK, "/etc/debuginfod");
        m->d.system.debuginfod_urls = "https://debuginfod.example";
        finds(m, "debuginfod", DOCTOR_OK, "example");
}

static void agent_says(Machine *m, const char *text) {
        json_decref((json_t *)m->d.agent);
        m->d.agent = json_loads(text, 0, NULL);
        assert_non_null(m->d.agent);
}

static void agent_is_judged(void **state) {
        Machine *m = *state;

        finds(m, "agent", DOCTOR_NOT_APPLICABLE, "not installed");
        finds(m, "vault-user", DOCTOR_NOT_APPLICABLE, "");
        file(m, "/usr/sbin/staunchd", "");
        finds(m, "agent", DOCTOR_PROBLEM, "No such file");
        finds(m, "agent-version", DOCTOR_NOT_APPLICABLE, "");
        finds(m, "agent-watch", DOCTOR_NOT_APPLICABLE, "");
        finds(m, "vault", DOCTOR_NOT_APPLICABLE, "");
        finds(m, "vault-user", DOCTOR_WARNING, "nobody");
        file(m, "/etc/passwd", "root:x:0:0::/:\nstaunch:x:105:105::/:\n");
        finds(m, "vault-user", DOCTOR_OK, "staunch");

        agent_says(m, "{\"version\": \"" STAUNCH_VERSION
                      "\", \"mode\": \"automatic\", \"watching\": true, \"vault\": "
                      "{\"user\": true, \"capabilities\": true, \"seccomp\": true, \"landlock\": 3}}");
        finds(m, "agent", DOCTOR_OK, "automatic");
        finds(m, "agent-version", DOCTOR_OK, STAUNCH_VERSION);
        finds(m, "agent-watch", DOCTOR_OK, "");
        finds(m, "vault", DOCTOR_OK, "narrowed");
        agent_says(m, "{\"version\": \"0.0.1\", \"mode\": \"manual\", \"watching\": false, \"vault\": "
                      "{\"user\": true, \"capabilities\": true, \"seccomp\": false, \"landlock\": 0}}");
        finds(m, "agent-version", DOCTOR_WARNING, "0.0.1");
        finds(m, "agent-watch", DOCTOR_WARNING, "");
        finds(m, "vault", DOCTOR_WARNING, "seccomp landlock");
        agent_says(m, "{\"version\": 1, \"mode\": null, \"vault\": null}");
        finds(m, "agent", DOCTOR_OK, "");
        finds(m, "agent-version", DOCTOR_WARNING, "another version");
        finds(m, "vault", DOCTOR_PROBLEM, "");

        finds(m, "policy", DOCTOR_OK, "default");
        file(m, "/etc/staunch/staunch.toml.d/10.toml", "patch_mode = \"manual\"\n");
        finds(m, "policy", DOCTOR_OK, "no mistake");
        /* Another machine's users and programs are not looked for on this one. */
        file(m, "/etc/staunch/staunch.toml.d/10.toml",
             "[[hook]]\nevents = [19]\ncommand = [\"/none\"]\nuser = \"none\"\n");
        finds(m, "policy", DOCTOR_OK, "no mistake");
        file(m, "/etc/staunch/staunch.toml", "patch_mode = \"manual\"\n");
        finds(m, "policy", DOCTOR_OK, "no mistake");
        file(m, "/etc/staunch/staunch.toml", "patch_mode = \"sometimes\"\n");
        finds(m, "policy", DOCTOR_PROBLEM, "staunch.toml:1: patch_mode");
        gone(m, "/etc/staunch/staunch.toml");

        finds(m, "state", DOCTOR_NOT_APPLICABLE, "");
        file(m, "/var/lib/staunch/state.db",
             "no database, but longer than the header of one, which it has to be to count");
        finds(m, "state", DOCTOR_PROBLEM, "");
        m->d.system.space_bytes = 1 << 20;
        finds(m, "space", DOCTOR_PROBLEM, "1 MiB");
        m->d.system.space_bytes = 100 << 20;
        finds(m, "space", DOCTOR_WARNING, "100 MiB");
        m->d.system.space_bytes = INT64_C(10) << 30;
        finds(m, "space", DOCTOR_OK, "10240 MiB");
}

/* Without root's rights and in any container: it comes to an end, and every check has its texts. */
static void this_machine_is_judged(void **state) {
        const DoctorCheck *const tables[] = { doctor_kernel, doctor_machine, doctor_agent };
        Doctor d;

        (void)state;
        doctor_init(&d, "");
        for (size_t t = 0; t < ELEMENTSOF(tables); t++)
                for (const DoctorCheck *c = tables[t]; c->name; c++) {
                        DoctorFinding f = c->look(&d);

                        assert_true(f.grade < DOCTOR_GRADES);
                        assert_non_null(f.seen);
                        assert_true(*c->why);
                        assert_int_equal(*f.todo != 0,
                                         f.grade == DOCTOR_WARNING || f.grade == DOCTOR_PROBLEM);
                }
        doctor_free(&d);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(kernel_is_judged, setup, teardown),
                cmocka_unit_test_setup_teardown(rights_are_judged, setup, teardown),
                cmocka_unit_test_setup_teardown(machine_is_judged, setup, teardown),
                cmocka_unit_test_setup_teardown(packages_are_judged, setup, teardown),
                cmocka_unit_test_setup_teardown(agent_is_judged, setup, teardown),
                cmocka_unit_test(this_machine_is_judged),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
