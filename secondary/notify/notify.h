/*
 * What a worker tells the one who started it: lines into the socket that MOS_NOTIFY_FD names, a
 * descriptor it was started with.
 *
 *   no primary       there is none to attach to: worth another try later
 *   ready CONTEXT    set up and attached; waits for a shard of a predecessor
 *   serving SHARD    takes the packets of this shard from now on
 *   yielded SHARD    has given it up for a successor, and does not take it back
 *
 * mos-run learns so that a successor has taken over, or that a standby can. Without the variable
 * nobody is told. A line that does not go out at once is left out: nobody waits for a reader.
 * Any thread.
 */
#ifndef MOS_SECONDARY_NOTIFY_H
#define MOS_SECONDARY_NOTIFY_H

void mos_notify_no_primary(void);
void mos_notify_ready(unsigned context);
void mos_notify_serving(unsigned shard);
void mos_notify_yielded(unsigned shard);

#endif
