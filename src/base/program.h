/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>

/* The path of a helper program: beside this one (a build folder), else in `folder`, where it is installed. */
void program_find(const char *name, const char *folder, char out[PATH_MAX]);
