/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The memory of another process. Addresses are the other process's. All return 0 or negative errno. */

/* Reads exactly `size` bytes; -EFAULT when a part is not readable. */
int mem_read(pid_t pid, uint64_t addr, void *to, size_t size);
/* The same of what the process may execute, but perhaps not read itself. */
int mem_read_code(pid_t pid, uint64_t addr, void *to, size_t size);
/* Reads up to `size` bytes, as far as memory is readable without a gap; the count, 0 for none. */
size_t mem_read_some(pid_t pid, uint64_t addr, void *to, size_t size);

/* /proc/PID/mem, read and write; holds on to the memory it was opened on. */
int mem_open(pid_t pid);
/* No process has that memory any more: the one that it was opened of has ended, or executed something. */
bool mem_is_gone(int mem_fd);
/* Writes also where the process itself may not (its text): the page becomes a private copy. */
int mem_write(int mem_fd, uint64_t addr, const void *from, size_t size);
int mem_read_fd(int mem_fd, uint64_t addr, void *to, size_t size);
