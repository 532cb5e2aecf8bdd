/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/cli.h"
#include "deliver/baseline.h"

/* What the commands about snapshots and baselines share. */
typedef struct BaselineCli {
        Policy policy;
        Baseline baseline;
        BaselineOps ops;
        char events[PATH_MAX], hold_file[PATH_MAX];
} BaselineCli;

/* Negative: go on. Otherwise the exit code to end with; the mistake was reported. */
int baseline_cli_begin(BaselineCli *c, const Options *o);
void baseline_cli_end(BaselineCli *c);
SnapshotContext baseline_cli_snapshots(const BaselineCli *c);
/* A number from 1; false when it is none. */
bool baseline_cli_number(const char *text, int64_t *out);
