/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/policy.h"

#include <jansson.h>
#include <stdio.h>

/* The whole policy by the names of docs/policy.md, defaults included; durations and sizes as they are written
 * there. A key without a value is left out. A new reference. */
json_t *policy_tree(const Policy *p);
/* Such a tree as TOML: a policy that means the same. */
void policy_tree_print(const json_t *tree, FILE *f);
