/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/mem.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

size_t mem_read_some(pid_t pid, uint64_t addr, void *to, size_t size) {
        size_t at = 0;

        while (at < size) {
                struct iovec local = { (uint8_t *)to + at, size - at };
                struct iovec remote = { (void *)(uintptr_t)(addr + at), size - at };
                ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

                if (n <= 0)
                        break;
                at += (size_t)n;
        }
        return at;
}

int mem_read(pid_t pid, uint64_t addr, void *to, size_t size) {
        struct iovec local = { to, size }, remote = { (void *)(uintptr_t)addr, size };
        ssize_t n;

        if (!size)
                return 0;
        n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
        if (n < 0)
                return -errno;
        if ((size_t)n < size && mem_read_some(pid, addr, to, size) < size)
                return -EFAULT;
        return 0;
}

int mem_read_code(pid_t pid, uint64_t addr, void *to, size_t size) {
        int fd, r = mem_read(pid, addr, to, size);

        if (r != -EFAULT)
                return r;
        fd = mem_open(pid);
        if (fd < 0)
                return r;
        r = mem_read_fd(fd, addr, to, size);
        close(fd);
        return r < 0 ? -EFAULT : 0;
}

int mem_open(pid_t pid) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/mem", pid);
        fd = open(path, O_RDWR | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

bool mem_is_gone(int mem_fd) {
        char c;

        return pread(mem_fd, &c, 1, 0) == 0; /* otherwise an error: nothing lies there */
}

int mem_write(int mem_fd, uint64_t addr, const void *from, size_t size) {
        size_t at = 0;

        while (at < size) {
                ssize_t n = pwrite(mem_fd, (const uint8_t *)from + at, size - at, (off_t)(addr + at));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ESRCH;
                at += (size_t)n;
        }
        return 0;
}

int mem_read_fd(int mem_fd, uint64_t addr, void *to, size_t size) {
        size_t at = 0;

        while (at < size) {
                ssize_t n = pread(mem_fd, (uint8_t *)to + at, size - at, (off_t)(addr + at));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ESRCH;
                at += (size_t)n;
        }
        return 0;
}
