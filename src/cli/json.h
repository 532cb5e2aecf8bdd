/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "patch/json.h"

/* Prints and releases; returns EXIT_ERROR when memory was out while it was made. */
int json_print(json_t *j);
