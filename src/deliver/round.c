/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/round.h"
#include "base/clock.h"
#include "base/macro.h"
#include "deliver/cache.h"
#include "deliver/package.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int round_lock(const char *path, Error *e) {
        _cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return error_errno(e, -errno, "%s", path);
        while (flock(fd, LOCK_EX) < 0)
                if (errno != EINTR)
                        return error_errno(e, -errno, "%s", path);
        /* For round_holder(). Where it can't be written, the lock is as good. */
        if (ftruncate(fd, 0) == 0)
                dprintf(fd, "%d %llu\n", (int)getpid(), (unsigned long long)wall_usec());
        return TAKE_FD(fd);
}

int round_holder(const char *path, RoundHolder *out, Error *e) {
        _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        unsigned long long usec;
        char text[64];
        ssize_t n;
        int pid;

        if (fd < 0)
                return errno == ENOENT ? 0 : error_errno(e, -errno, "%s", path);
        if (flock(fd, LOCK_SH | LOCK_NB) == 0) /* who wants it now waits until `fd` is closed */
                return 0;
        if (errno != EWOULDBLOCK)
                return error_errno(e, -errno, "%s", path);
        n = pread(fd, text, sizeof(text) - 1, 0);
        text[MAX(n, 0)] = 0;
        *out = (RoundHolder){ 0 };
        /* Else it is of the one before. */
        if (sscanf(text, "%d %llu", &pid, &usec) == 2 && pid > 0 && (kill(pid, 0) == 0 || errno == EPERM))
                *out = (RoundHolder){ pid, usec };
        return 1;
}

static bool excluded(void *data, const Process *p, const char *path) {
        const Policy *policy = ((const RoundOptions *)data)->policy;
        char proc[64], cgroup[512];
        struct stat st;
        const struct passwd *pw;

        if (!policy->n_exclude)
                return false;
        if (policy_excludes(policy, MATCH_PATH, path) || policy_excludes(policy, MATCH_UNIT, p->unit) ||
            (process_cgroup(p->pid, cgroup, sizeof(cgroup)) == 0 &&
             policy_excludes(policy, MATCH_CGROUP, cgroup)))
                return true;
        snprintf(proc, sizeof(proc), "/proc/%d", p->pid);
        pw = stat(proc, &st) == 0 ? getpwuid(st.st_uid) : NULL;
        return pw && policy_excludes(policy, MATCH_USER, pw->pw_name);
}

static void read_accepted(const Policy *policy, const char *path, bool accepted[REFUSAL_N]) {
        char package[256];

        if (policy->n_accept)
                policy_accepted(policy,
                                package_of(PACKAGE_INFO, path, package, sizeof(package)) ? package : "",
                                accepted);
}

bool round_reverts_unproved(const Policy *policy, const char *path) {
        bool accepted[REFUSAL_N] = { 0 };

        read_accepted(policy, path, accepted);
        return accepted[REFUSAL_CODE_REVERT_UNPROVED];
}

static bool reverts_unproved(void *data, const char *path) {
        return round_reverts_unproved(((const RoundOptions *)data)->policy, path);
}

static const char *harm(void *data, const ProcessPatch *patch) {
        const RoundOptions *o = data;

        return o->harm ? o->harm(o->compare_data, patch) : NULL;
}

static int compare(void *data, const OutdatedPair *pair, PairBytes *bytes, const ConvergeOptions *converge,
                   Comparison *out, Error *e) {
        const RoundOptions *o = data;
        bool accepted[REFUSAL_N] = { 0 };
        ConvergeOptions here = *converge;
        int r;

        if (o->known && o->known(o->compare_data, pair, out))
                return 0;
        read_accepted(o->policy, pair->path, accepted);
        if (o->cache && cache_get(o->cache, bytes->old_digest, bytes->new_digest, accepted, out) == 0) {
                if (build_id_equal(&out->old_id, &pair->old_id) &&
                    build_id_equal(&out->new_id, &pair->new_id))
                        return 0;
                comparison_free(out);
        }
        here.accepted = accepted;
        r = o->compare ? o->compare(o->compare_data, pair, bytes, accepted, out, e)
                       : converge_compare(pair, bytes, &here, out, e);
        /* A cache that can't be written costs the next round time, and nothing else. */
        if (r == 0 && o->cache)
                cache_put(o->cache, bytes->old_digest, bytes->new_digest, out, accepted, NULL);
        return r;
}

int round_run(const RoundOptions *o, Converged *out, Error *e) {
        ConvergeOptions options = {
                .find = { .pids = o->pids,
                          .n_pids = o->n_pids,
                          .pass_over = true,
                          .root = o->root,
                          .excluded = excluded,
                          .excluded_data = (void *)o,
                          .enter = o->enter,
                          .enter_data = o->enter_data,
                          .current = o->current,
                          .current_data = o->current_data,
                          .carries = o->carries,
                          .carries_data = o->carries_data },
                .dry_run = o->policy->mode == PATCH_ASSESS_ONLY,
                .deadline_usec = o->policy->deadline_usec,
                .urgent = o->urgent,
                .urgent_data = o->enter_data,
                .compare = compare,
                .compare_data = (void *)o,
                .begins = o->begins,
                .begins_data = o->begins_data,
                .reverts_unproved = reverts_unproved,
                .harm = harm,
                .patch_data = (void *)o,
        };

        return converge_run(&options, out, e);
}
