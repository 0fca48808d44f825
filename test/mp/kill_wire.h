/*
 * What test_kill_points sends beside its steady traffic: short connections that make a worker with
 * kill_app come to each of its kill points. Nobody waits for answers, and what comes out of the box
 * is not looked at; a step that got lost with a worker is made up for by the next turn.
 */
#ifndef MOS_TEST_KILL_WIRE_H
#define MOS_TEST_KILL_WIRE_H

#include <stdbool.h>

/* Open a socket at each end. False with a line on stderr. */
bool wire_open(const char *if_a, const char *if_b);
void wire_close(void);

/* Connections that are there all the time, with edits and a second key, begin; each is said on. */
void wire_begin_lasting(void);
void wire_keep_lasting(void);

/*
 * Another part of a turn; the costly ones come in some turns only. Returns false when the turn is
 * over.
 */
bool wire_take_turn(unsigned turn, unsigned part);

#endif
