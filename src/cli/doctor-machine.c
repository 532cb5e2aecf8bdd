/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/doctor.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Firmware, snapshots, clock, journal, package manager, debug information. */

#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static DoctorFinding firmware(const Doctor *d) {
        if (doctor_exists(d, "/sys/firmware/efi"))
                return doctor_found(d, DOCTOR_OK, "", "UEFI (what Azure calls generation 2)");
        if (!doctor_exists(d, "/sys/firmware"))
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "not to be seen");
        return doctor_found(d, DOCTOR_OK, "", "BIOS, or none (what Azure calls generation 1)");
}

static DoctorFinding secure_boot(const Doctor *d) {
        const char *variable = doctor_read(d, SECURE_BOOT);

        if (!doctor_exists(d, "/sys/firmware/efi"))
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "the machine did not start by UEFI");
        if (!variable)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "the firmware does not say");
        return doctor_found(d, DOCTOR_OK, "", "%s",
                            variable[4] == 1 ? "on" : "off"); /* behind 4 bytes of attributes */
}

/* The device and the type of what is mounted at /, the last of several. */
static bool root_mount(const Doctor *d, char device[256], char type[64]) {
        const char *line = doctor_read(d, "/proc/self/mounts");
        bool found = false;

        for (; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                char from[256], at[256], kind[64];

                if (sscanf(line, "%255s %255s %63s", from, at, kind) == 3 && strcmp(at, "/") == 0) {
                        memcpy(device, from, sizeof(from));
                        memcpy(type, kind, sizeof(kind));
                        found = true;
                }
        }
        return found;
}

/* Does the newest description of the volume group have thin volumes? In the device's name a "-" of the
 * group's is doubled. */
static bool is_thin(const Doctor *d, const char *device) {
        const char *name = strrchr(device, '/'), *text;
        char group[128];
        size_t n = 0;

        if (!name || strncmp(device, "/dev/mapper/", 12) != 0)
                return false;
        for (name++; *name && n + 1 < sizeof(group); name++) {
                if (*name == '-' && *++name != '-')
                        break;
                group[n++] = *name;
        }
        group[n] = 0;
        text = doctor_read(d, arena_printf(d->arena, "/etc/lvm/backup/%s", group));
        return text && strstr(text, "type = \"thin\"");
}

static DoctorFinding snapshots(const Doctor *d) {
        char device[256], type[64];

        if (!root_mount(d, device, type))
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "no mounts are to be seen");
        if (strcmp(type, "btrfs") == 0)
                return doctor_found(d, DOCTOR_OK, "", "/ is on btrfs");
        if (is_thin(d, device))
                return doctor_found(d, DOCTOR_OK, "", "/ is on an LVM volume group with thin volumes");
        return doctor_found(d, DOCTOR_WARNING,
                            "Put / on btrfs or an LVM thin volume, or have whoever runs the machine (a "
                            "cloud) take a snapshot before.",
                            "/ is on %s (%s): no snapshots", type, device);
}

static DoctorFinding time_zone(const Doctor *d) {
        const char *zone = doctor_read(d, "/etc/timezone"), *path = doctor_path(d, "/etc/localtime");
        static const char folder[] = "/usr/share/zoneinfo";
        char target[PATH_MAX];
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        const char *at;

        target[MAX(n, 0)] = 0;
        at = strstr(target, "/zoneinfo/");
        if (at)
                zone = at + strlen("/zoneinfo/");
        if (!doctor_exists(d, folder))
                return doctor_found(d, DOCTOR_WARNING, "Install the package tzdata.",
                                    "no time zones are installed (%s)", folder);
        if (!zone)
                return doctor_found(d, DOCTOR_WARNING, "timedatectl set-timezone ZONE",
                                    "none is set, so UTC");
        return doctor_found(d, DOCTOR_OK, "", "%s", zone);
}

static DoctorFinding clock_check(const Doctor *d) {
        if (doctor_exists(d, "/run/systemd/timesync/synchronized") || d->system.clock_synced == 1)
                return doctor_found(d, DOCTOR_OK, "", "kept in step");
        if (d->system.clock_synced < 0)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "only a running kernel says");
        return doctor_found(d, DOCTOR_WARNING, "Install and start systemd-timesyncd or chrony.",
                            "nothing keeps the clock in step");
}

static DoctorFinding journal(const Doctor *d) {
        if (!doctor_exists(d, "/run/systemd/journal/socket"))
                return doctor_found(d, DOCTOR_OK, "", "none: events are in /var/log/staunch/events.jsonl");
        if (doctor_exists(d, "/var/log/journal"))
                return doctor_found(d, DOCTOR_OK, "", "kept over reboots");
        return doctor_found(d, DOCTOR_WARNING,
                            "mkdir /var/log/journal && systemd-tmpfiles --create --prefix /var/log/journal "
                            "&& journalctl --flush",
                            "it is forgotten with each reboot, and the agent's events with it");
}

static DoctorFinding reboot(const Doctor *d) {
        const char *packages = doctor_read(d, "/run/reboot-required.pkgs");

        if (!doctor_exists(d, "/run/reboot-required"))
                return doctor_found(d, DOCTOR_OK, "", "none is asked for");
        return doctor_found(d, DOCTOR_WARNING, "Reboot when it suits.",
                            "/run/reboot-required is there%s%.200s", packages ? ": " : "",
                            packages ? packages : "");
}

static DoctorFinding package_hook(const Doctor *d) {
        if (!doctor_exists(d, "/var/lib/dpkg/status"))
                return doctor_found(d, DOCTOR_WARNING,
                                    "After an upgrade run 'staunch converge', or let the package manager "
                                    "touch /run/staunch/wake.",
                                    "this machine has no dpkg: only the periodic look notices an upgrade");
        if (doctor_exists(d, "/etc/apt/apt.conf.d/60staunch"))
                return doctor_found(d, DOCTOR_OK, "", "apt wakes the agent (/etc/apt/apt.conf.d/60staunch)");
        return doctor_found(
                d, DOCTOR_WARNING, "Install the package staunch-agent, which has it.",
                "/etc/apt/apt.conf.d/60staunch is missing: only dpkg's status file tells of an upgrade");
}

/* The last "$nrconf{restart} = 'x'" that is not commented out; 0: none. */
static char restart_mode(const char *text) {
        char mode = 0;

        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                char quote[2], value;

                line += strspn(line, " \t");
                if (sscanf(line, "$nrconf{restart} = %1['\"]%c", quote, &value) == 2)
                        mode = value;
        }
        return mode;
}

static DoctorFinding needrestart(const Doctor *d) {
        static const char *const files[] = { "/etc/needrestart/needrestart.conf",
                                             "/etc/needrestart/conf.d/50local.conf",
                                             "/etc/needrestart/conf.d/staunch.conf" };
        char mode = 'i';

        if (!doctor_exists(d, files[0]))
                return doctor_found(d, DOCTOR_OK, "", "not installed");
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                char said = restart_mode(doctor_read(d, files[i]));

                mode = said ? said : mode;
        }
        if (mode == 'l')
                return doctor_found(d, DOCTOR_OK, "", "it lists services and restarts none");
        return doctor_found(d, DOCTOR_WARNING,
                            "echo \"\\$nrconf{restart} = 'l';\" >/etc/needrestart/conf.d/staunch.conf: it "
                            "then lists only, and "
                            "'staunch list' says what needs a restart.",
                            "%s",
                            mode == 'a' ? "it restarts services after each upgrade, patched or not"
                                        : "it asks after each upgrade to restart services, patched or not");
}

static DoctorFinding package_scripts(const Doctor *d) {
        if (doctor_exists(d, "/usr/sbin/policy-rc.d"))
                return doctor_found(d, DOCTOR_OK, "",
                                    "/usr/sbin/policy-rc.d decides what they may restart; Staunch's own "
                                    "holds it back for "
                                    "package_restarts = \"hold\" in the policy");
        return doctor_found(
                d, DOCTOR_OK, "",
                "they may restart the service of their own package on its upgrade; package_restarts = "
                "\"hold\" in the policy keeps them from it (docs/guide.md)");
}

static DoctorFinding debug_information(const Doctor *d) {
        size_t n = doctor_count(d, "/usr/lib/debug/.build-id", "");

        if (n)
                return doctor_found(d, DOCTOR_OK, "", "some is installed in /usr/lib/debug");
        return doctor_found(d, DOCTOR_WARNING,
                            "Install PACKAGE-dbgsym (from the archive's -debug suite) of services whose "
                            "updates are refused with "
                            "layout-unproved, for the old and the new version.",
                            "none in /usr/lib/debug: layouts are judged by the code alone");
}

static DoctorFinding debuginfod(const Doctor *d) {
        const char *urls = d->system.debuginfod_urls;

        if (urls && *urls)
                return doctor_found(d, DOCTOR_OK, "", "%.200s", urls);
        if (doctor_count(d, "/etc/debuginfod", ".urls"))
                return doctor_found(d, DOCTOR_OK, "",
                                    "configured in /etc/debuginfod; not in this environment");
        return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "DEBUGINFOD_URLS is not set");
}

const DoctorCheck doctor_machine[] = {
        { "firmware", "Secure Boot needs UEFI.", firmware },
        { "secure-boot", "With it on, the kernel takes only signed modules, live patches among them.",
          secure_boot },
        { "snapshots", "An upgrade that goes wrong is taken back as a whole only by a snapshot.", snapshots },
        { "time-zone", "Times of day in the policy and in what is printed are local.", time_zone },
        { "clock", "What happened when, over several machines, and times of day in the policy.",
          clock_check },
        { "journal", "'staunch events' tells what was done and why.", journal },
        { "reboot", "Something that was upgraded is in force after a reboot only.", reboot },
        { "package-hook", "The agent begins as soon as an upgrade is done.", package_hook },
        { "needrestart",
          "What is restarted after an upgrade was patched for nothing, and loses its connections.",
          needrestart },
        { "package-scripts", "A service that its package restarts is current, and lost its connections.",
          package_scripts },
        { "debug-information", "With it more updates are proved harmless.", debug_information },
        { "debuginfod", "Commands fetch debug information from there; the agent does not, it has no network.",
          debuginfod },
        { 0 },
};
