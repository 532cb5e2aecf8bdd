/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <jansson.h>

/* The volumes of a report of `lvs --reportformat json`: an array (a new reference) of objects, each with
 * lv_full_name and lv_uuid. */
int lvm_parse(const char *text, size_t size, json_t **out, Error *e);
