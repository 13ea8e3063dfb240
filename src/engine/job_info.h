/* SPDX-License-Identifier: MIT */
/* A job as those outside see it. */
#pragma once

#include <stdint.h>

#include "engine/job_table.h"
#include "jobd/batch.h"
#include "jobd/queue.h"

void job_info(const struct job *job, struct jobd_info *info);
void batch_info(const struct batch *batch, struct jobd_batch *info);
/* A final job's output for who waits for its end, when wanted. */
void job_output_for(const struct job *job, struct jobd_waiter *waiter);
