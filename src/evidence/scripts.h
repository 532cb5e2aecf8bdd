/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "evidence/running.h"

/*
 * Whether the process of an image may keep code of an older version of the package that is in no image: an
 * interpreter that started before the version on disk was unpacked, of a package that has scripts. What it
 * has read of them nobody can tell.
 */
bool scripts_may_be_old(const Running *r, const RunningImage *image, Package *installed);
