/* SPDX-License-Identifier: MIT */
#include "engine/journal_lists.h"

#include "base/verify.h"
#include "engine/journal_scene.h"

void compare_lists(struct jobd *jobd, uint64_t next_id)
{
    uint64_t after = next_id > 60 ? next_id - 60 : 0;
    for (unsigned state = 0; state < JOBD_STATES; state++) {
        struct jobd_filter filter = {.queue = JOBD_NO_QUEUE, .state = (enum jobd_state)state};
        struct jobd_info infos[5];
        uint64_t id = after + 1, next = after;
        do {
            filter.after = next;
            size_t len = jobd_list(jobd, &filter, infos, 5, &next);
            for (size_t i = 0; i < len; id++) {
                verify(id <= infos[i].id);
                if (id == infos[i].id)
                    verify(infos[i++].state == filter.state);
                else
                    verify(state_of(jobd, id) != filter.state);
            }
        } while (next != 0);
        for (; id < next_id; id++)
            verify(state_of(jobd, id) != filter.state);
    }
}
