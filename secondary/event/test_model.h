/*
 * A naive model of user-defined events, callback sets and dispatch, run beside the real ones: for
 * the model test, which draws what happens from a seed, and the fuzz target, which takes it from
 * its input.
 *
 * Filters and callbacks raise, stop, change sets and start dispatches of their own, as a hash of
 * the dispatch and the event decides, so that both worlds do the same. Each writes down what was
 * called and what it was answered. Where they differ, the process aborts with the line in
 * test_model.c.
 */
#ifndef MOS_SECONDARY_EVENT_TEST_MODEL_H
#define MOS_SECONDARY_EVENT_TEST_MODEL_H

#include <stdint.h>

/* A number below `below`, which is at most 65536. */
typedef uint32_t (*model_pick)(uint32_t below);

void model_begin(void);
/* One operation: define, allocate, register, dispatch, purge, attach or start over. */
void model_step(model_pick pick);
void model_end(void);

#endif
