/* SPDX-License-Identifier: MIT */
/* A job as a store keeps it. */
#pragma once

#include "engine/job_table.h"
#include "engine/journal_store.h"

/* What a put has said, for a job that has not begun: also how far it is. */
void describe_content(struct job_record *record, const struct job_content *content);
/* All of a job as it stands in this queue, with this content. What the record points to is theirs.
 */
void describe_job(const char *queue, const struct job *job, const struct job_content *content,
                  struct job_record *record);
/* The job has no attempt of which anything has been said. */
void describe_nothing_said(struct job_record *record);
