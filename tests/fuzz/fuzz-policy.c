/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's policy: what is checked and what is loaded agree, and what is loaded can be asked. */
#include "base/macro.h"
#include "deliver/policy.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void mistake(void *data, const char *text) {
        if (!*text)
                __builtin_trap();
        ++*(int *)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
        _cleanup_(closep) int fd = memfd_create("policy", MFD_CLOEXEC);
        bool accepted[REFUSAL_N] = { 0 };
        char path[32];
        int told = 0, n, r;
        Error e = { 0 };
        Policy p;

        if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
                return 0;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = policy_check(path, false, mistake, &told, &e);
        if (n != told)
                __builtin_trap();
        r = policy_load(path, &p, &e);
        if ((r == 0) != (n == 0) || (r < 0 && !e.text[0]))
                __builtin_trap();
        if (r < 0)
                return 0;
        policy_excludes(&p, MATCH_UNIT, "nginx.service");
        policy_accepted(&p, "nginx", accepted);
        policy_free(&p);
        return 0;
}
