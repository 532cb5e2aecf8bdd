/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "evidence/exposure.h"

#include <jansson.h>

/* The whole answer: docs/json.md. A new reference. */
json_t *exposure_json(const Exposure *x);
