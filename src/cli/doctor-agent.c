/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/running.h"
#include "config.h"
#include "deliver/policy.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>

/* The agent: whether it runs as it should. */

static DoctorFinding agent(const Doctor *d) {
        if (d->agent)
                return doctor_found(d, DOCTOR_OK, "", "it runs, mode %s",
                                    json_string_value(json_object_get(d->agent, "mode")));
        if (!doctor_exists(d, "/usr/sbin/staunchd") && !doctor_exists(d, "/usr/local/sbin/staunchd"))
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "",
                                    "not installed: 'staunch converge' does its work when typed");
        return doctor_found(d, DOCTOR_PROBLEM,
                            "systemctl enable --now staunch-agent; when it ends again, journalctl -u "
                            "staunch-agent says why.",
                            "it does not answer: %s", d->agent_error);
}

static DoctorFinding not_running(const Doctor *d) {
        return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "the agent does not answer");
}

static DoctorFinding version(const Doctor *d) {
        const char *have = json_string_value(json_object_get(d->agent, "version"));

        if (!d->agent)
                return not_running(d);
        if (have && strcmp(have, STAUNCH_VERSION) == 0)
                return doctor_found(d, DOCTOR_OK, "", "%s, as this command", have);
        return doctor_found(
                d, DOCTOR_WARNING, "systemctl restart staunch-agent: patched processes stay patched.",
                "the agent is %s, this command is " STAUNCH_VERSION, have ? have : "of another version");
}

static DoctorFinding watching(const Doctor *d) {
        if (!d->agent)
                return not_running(d);
        if (json_is_true(json_object_get(d->agent, "watching")))
                return doctor_found(d, DOCTOR_OK, "", "it follows processes as they start and end");
        return doctor_found(d, DOCTOR_WARNING, "See process-events above.",
                            "only the periodic look notices processes");
}

static DoctorFinding round_now(const Doctor *d) {
        Running running;
        const char *text;

        running_find(d->agent, doctor_path(d, RUNTIME_DIR "/lock"), &running);
        text = running_text(d->arena, &running);
        return text ? doctor_found(d, DOCTOR_OK, "", "%s", text)
                    : doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "no round runs right now");
}

static DoctorFinding vault(const Doctor *d) {
        static const char *const limits[] = { "user", "capabilities", "seccomp" };
        const json_t *ready = json_object_get(d->agent, "vault");
        char lacking[128] = "";

        if (!d->agent)
                return not_running(d);
        if (!json_is_object(ready))
                return doctor_found(
                        d, DOCTOR_PROBLEM,
                        "journalctl -u staunch-agent says why; 'staunch events --id helper-failed'.",
                        "it does not run");
        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                if (!json_is_true(json_object_get(ready, limits[i])))
                        strcat(strcat(lacking, " "), limits[i]);
        if (json_integer_value(json_object_get(ready, "landlock")) < 1)
                strcat(lacking, " landlock");
        if (!*lacking)
                return doctor_found(d, DOCTOR_OK, "", "narrowed: user, capabilities, seccomp, Landlock");
        return doctor_found(d, DOCTOR_WARNING, "The checks of the kernel above say what is missing there.",
                            "it runs without these limits:%s", lacking);
}

static DoctorFinding vault_user(const Doctor *d) {
        const char *users = doctor_read(d, "/etc/passwd");

        if (users && (strncmp(users, "staunch:", 8) == 0 || strstr(users, "\nstaunch:")))
                return doctor_found(d, DOCTOR_OK, "", "staunch");
        if (agent(d).grade == DOCTOR_NOT_APPLICABLE)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "the agent is not installed");
        return doctor_found(d, DOCTOR_WARNING,
                            "adduser --system --group --no-create-home --home /nonexistent staunch; "
                            "systemctl restart staunch-agent",
                            "there is no user staunch: the vault runs as nobody");
}

static void first_mistake(void *data, const char *text) {
        char *to = data;

        if (!*to)
                snprintf(to, 512, "%s", text);
}

static DoctorFinding policy(const Doctor *d) {
        char first[512] = "";
        Error e = { 0 };
        int n = policy_check(doctor_path(d, POLICY_FILE), !*d->root, first_mistake, first, &e);

        if (n == 0)
                return doctor_found(d, DOCTOR_OK, "",
                                    policy_is_there(doctor_path(d, POLICY_FILE)) ? POLICY_FILE ": no mistake"
                                                                                 : "the default");
        return doctor_found(
                d, DOCTOR_PROBLEM,
                "'staunch config check' prints every mistake; then systemctl reload staunch-agent.", "%s",
                n < 0 ? e.text : first);
}

static DoctorFinding state(const Doctor *d) {
        _cleanup_(store_closep) Store *store = NULL;
        Error e = { 0 };
        int r = store_open_read(doctor_path(d, "/var/lib/staunch"), &store, &e);

        if (r == 0)
                return doctor_found(d, DOCTOR_OK, "", "/var/lib/staunch/state.db can be read");
        if (r == -ENOENT)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "the agent has not run here yet");
        return doctor_found(
                d, r == -EACCES ? DOCTOR_WARNING : DOCTOR_PROBLEM,
                r == -EACCES
                        ? "Run 'staunch doctor' as root."
                        : "systemctl restart staunch-agent: it puts the file aside and begins a new one.",
                "%s", e.text);
}

static DoctorFinding space(const Doctor *d) {
        enum { LEAST_MIB = 64, FEW_MIB = 512 }; /* one large patch with its record; a month's */
        int64_t mib = d->system.space_bytes >> 20;

        if (d->system.space_bytes < 0)
                return doctor_found(d, DOCTOR_NOT_APPLICABLE, "", "not to be seen");
        return doctor_found(d,
                            mib < LEAST_MIB ? DOCTOR_PROBLEM
                            : mib < FEW_MIB ? DOCTOR_WARNING
                                            : DOCTOR_OK,
                            mib < FEW_MIB ? "Make room in the file system of /var/lib/staunch." : "",
                            "%lld MiB free", (long long)mib);
}

const DoctorCheck doctor_agent[] = {
        { "agent", "It patches after an upgrade with nobody typing.", agent },
        { "agent-version", "An agent that was upgraded runs its old code until it is restarted.", version },
        { "agent-watch", "What starts with an outdated image is patched at once.", watching },
        { "round", "One round at a time; another, also by hand, waits for its end.", round_now },
        { "vault", "It reads hostile files, so it may do nothing else.", vault },
        { "vault-user", "A user of its own: no other process of that user is in reach.", vault_user },
        { "policy", "A mistake keeps the old policy in force, or the agent from starting.", policy },
        { "state",
          "History, pending restarts and quarantine. What is patched is in the processes themselves.",
          state },
        { "space", "Comparisons and patches are kept in /var/lib/staunch.", space },
        { 0 },
};
