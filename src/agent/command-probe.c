/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command-probe.h"
#include "base/clock.h"
#include "base/command.h"
#include "base/macro.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum {
        OUTPUT_MAX = 1 << 20, /* bytes of a command's output */
        CPU_SEC = 60,         /* of a command */
        MEMORY_MAX = 1 << 30, /* its address space, bytes */
        PROCESSES = 256,      /* of its user */
        FILES = 256,
};

int command_probe_narrow(Error *e) {
        if (geteuid() != 0)
                return 0;
        capng_clear(CAPNG_SELECT_CAPS);
        capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETUID, CAP_SETGID, CAP_SETPCAP,
                      CAP_KILL, -1);
        if (capng_apply(CAPNG_SELECT_CAPS) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_set(e, -EPERM, "capabilities could not be dropped");
        return 0;
}

/* For itself and what it starts, for good. */
static void limit(void) {
        static const struct {
                __rlimit_resource_t resource;
                rlim_t most;
        } limits[] = { { RLIMIT_CPU, CPU_SEC },
                       { RLIMIT_NPROC, PROCESSES },
                       { RLIMIT_NOFILE, FILES },
                       { RLIMIT_CORE, 0 } };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                setrlimit(limits[i].resource, &(struct rlimit){ limits[i].most, limits[i].most });
}

int command_probe(const char *const *argv, const char *user, uint64_t timeout_usec, const char *expect,
                  uint64_t *usec, Error *e) {
        static const char *const environment[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/",
                                                   "LANG=C.UTF-8", NULL };
        const struct passwd *pw = getpwnam(user);
        uint64_t begun = now_usec();
        CommandResult result;
        int r;

        if (!pw)
                return error_set(e, -ENOENT, "there is no user '%s'", user);
        if (pw->pw_uid == 0)
                return error_set(e, -EPERM, "user '%s' is root", user);
        limit();
        r = command_must(&(Command){ .argv = argv,
                                     .environment = environment,
                                     .timeout_usec = timeout_usec,
                                     .output_max = OUTPUT_MAX,
                                     .memory_max = MEMORY_MAX,
                                     .user = geteuid() == 0 ? user : NULL },
                         &result, e);
        *usec = now_usec() - begun;
        if (r < 0)
                return r;
        if (expect && !memmem(result.output, result.n, expect, strlen(expect)))
                r = error_set(e, -EREMOTEIO, "its output does not have the expected text");
        command_result_free(&result);
        return r;
}
