/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/*
 * Bytes of memory that the control groups of a process (memory.max, memory.limit_in_bytes, of its own and of
 * those above) leave it before the kernel kills somebody of them. Half of what could be had by dropping clean
 * pages of files counts; a group in which `enough` bytes are free without that is not looked at any closer.
 * UINT64_MAX: there is no limit, or it is not known.
 */
uint64_t quota_memory_left(pid_t pid, uint64_t enough);
