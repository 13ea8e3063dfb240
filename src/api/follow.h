/* SPDX-License-Identifier: MIT */
/* A job's output as it comes. */
#pragma once

#include "api/endpoint.h"

/* The answer to GET /jobs/{id}/output?follow. */
enum step follow_answer(struct call *call);
