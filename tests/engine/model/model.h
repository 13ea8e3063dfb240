/* SPDX-License-Identifier: MIT */
/* The engine driven by chance, beside a model of it that is too simple to be wrong: arrays searched
 * from end to end. */
#pragma once

#include "support/chance.h"

/* So many steps, or until the chance is over. After each both agree and the engine's invariants
 * hold, or the process ends. */
void model_drive(struct chance *chance, unsigned steps);
