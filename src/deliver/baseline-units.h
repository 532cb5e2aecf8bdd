/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/baseline.h"

/* The units of this machine, by systemctl. With a policy (as `data`) they have to answer its probes.
 * "machine" stands for the machine itself; a subject that is no unit
 * ("process NAME") can't be restarted, and counts as well. There is no `reboot` and no `apart`. */
extern const BaselineOps baseline_units;
