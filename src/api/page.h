/* SPDX-License-Identifier: MIT */
/* The page at /, whose files are in src/api/page and become part of the program as they are. What
 * they say of themselves every browser would fetch, so it stands here.
 *
 * jobd.js draws views, each from what its load() got of the API:
 *
 *     h()          an element: its tag.classes; attributes (texts) and properties, if any; what
 *                  is in it. Texts of jobs become text, never markup. Addresses are relative,
 *                  for the path of a proxy
 *     button()     `of` tells those of one name apart, for who does not see where they are, and
 *                  for refresh()
 *     send()       a refusal is an error with the API's own words, where it is the API's
 *     events()     server-sent events by fetch(), as EventSource sends no token
 *     ask()        before harm: the thing and the number; what has the focus changes nothing
 *     troubles()   what is wrong with a queue: whether it is bad, what and why, what helps. A queue
 *                  is stuck when a job has been ready for a minute and none has ended in that time
 *     bulk()       jobs by their ids; or all that match, in one request
 *     panel()      text, of which a last character may be cut; JSON is indented where no number
 *                  would be another one then; else bytes
 *     follow()     what a job that runs says, as it comes
 *     still        a view that is not drawn again: what is being written stays
 *     refresh()    the focus stays on what has the same name; nothing is drawn while somebody
 *                  writes, or presses
 *     listen()     events, however many, only say that a tick is to draw; later again where there
 *                  is no room for one more stream */
#pragma once

/* Once, before it is served. */
void page_init(void);
