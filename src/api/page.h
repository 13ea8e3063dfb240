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
 *     attempt()    what a button does; what is refused is said
 *     ask()        before harm: the thing and the number; what has the focus changes nothing. It
 *                  goes on only when that was wanted
 *     troubles()   what is wrong with a queue: whether it is bad, what and why, what helps. A queue
 *                  is stuck when a job has been ready for a minute and none has ended in that time
 *     recent()     the chart's last point: the last sample of the server's history, and what has
 *                  ended since. No event tells what was turned away
 *     count()      figures go on from /status, which says the id of the last event in them; behind
 *                  a gap they are right again with the next one
 *     bulk()       the button for jobs by their ids; or for all that match, a request for each
 * state in which the verb changes something: so it forgets none, and asks about as many as it
 * changes. All that match do not include those that run chart()      areas, which need no SVG
 *     panel()      text, of which a last character may be cut; JSON is indented where no number
 *                  would be another one then; else bytes
 *     follow()     what a job that runs says, as it comes
 *     still        a view that is not drawn again: what is being written stays
 *     concerns()   does an event change what the view shows? One without it is asked for again
 *                  with each /status: what workers do with leases no event tells
 *     draw()       the focus stays on what has the same name; nothing is drawn while somebody
 *                  writes, or presses. Four times as long as it took nothing is drawn again
 *     load()       /status when it is 10 s old, and what the view shows when that has changed. What
 *                  is wrong is told as /status has it, so that no button moves meanwhile
 *     renew()      at once, after what the user did, and when events begin to come
 *     listen()     events wait while something is asked for: so none is counted twice. Later again
 *                  where there is no room for one more stream
 *     tick()       draws what events have changed, at most 4 times a second; ends both streams when
 *                  nobody looks */
#pragma once

/* Once, before it is served. */
void page_init(void);
