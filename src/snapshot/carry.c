/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/carry.h"
#include "base/macro.h"
#include "store/baseline.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* *below: the state's path as it is below the root, within `state`; NULL when it lies elsewhere. */
static int find(const SnapshotContext *c, char state[PATH_MAX], const char **below, Error *e) {
        char root[PATH_MAX];
        size_t n;

        if (!realpath(c->root, root) || !realpath(c->state, state))
                return error_errno(e, -errno, "%s", c->state);
        n = strcmp(root, "/") == 0 ? 0 : strlen(root);
        *below = strncmp(state, root, n) == 0 && state[n] == '/' ? state + n : NULL;
        return 0;
}

int carry_needed(const SnapshotContext *c, Error *e) {
        char state[PATH_MAX];
        const char *below;
        int r = find(c, state, &below, e);

        return r < 0 ? r : below != NULL;
}

int carry_state(const SnapshotContext *c, const char *new_root, Error *e) {
        static const char *const parts[] = { "state.db-wal", "state.db-shm", "state.db" };
        _cleanup_(store_closep) Store *store = NULL;
        char state[PATH_MAX], path[PATH_MAX + 64], to[PATH_MAX + 64];
        const char *below;
        int r = find(c, state, &below, e);

        if (r < 0 || !below)
                return r;
        snprintf(to, sizeof(to), "%s%s", new_root, below);
        if (access(to, F_OK) < 0)
                return 0;
        r = store_open_read(c->state, &store, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                snprintf(path, sizeof(path), "%s/%s", to, parts[i]);
                if (unlink(path) < 0 && errno != ENOENT)
                        return error_errno(e, -errno, "%s", path);
        }
        return store_copy(store, path, e);
}

static int in_child(int (*f)(void *data, const char *folder, Error *e), void *data, Error *e) {
        char folder[] = "/run/staunch-root-XXXXXX";
        int r;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_errno(e, -errno, "a mount namespace");
        if (!mkdtemp(folder))
                return error_errno(e, -errno, "%s", folder);
        r = f(data, folder, e);
        umount2(folder, MNT_DETACH);
        rmdir(folder);
        return r;
}

typedef struct Shared {
        int result;
        Error error;
} Shared;

int carry_apart(int (*f)(void *data, const char *folder, Error *e), void *data, Error *e) {
        Shared *shared =
                mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int r, status = 0;
        pid_t pid;

        if (shared == MAP_FAILED)
                return error_errno(e, -errno, "mmap");
        shared->result = -ECHILD;
        pid = fork();
        if (pid == 0) {
                shared->result = in_child(f, data, &shared->error);
                _exit(0);
        }
        if (pid < 0)
                r = error_errno(e, -errno, "fork");
        else {
                while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        ;
                r = shared->result;
                if (r < 0)
                        error_set(e, r, "%s",
                                  status ? "the process that prepares the root was ended"
                                         : shared->error.text);
        }
        munmap(shared, sizeof(*shared));
        return r;
}
