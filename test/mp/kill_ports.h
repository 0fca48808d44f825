/*
 * What kill_app does with a flow: by its client's port, and with edited ones by the first byte of
 * the payload. Shared by kill_app and the test that makes the traffic.
 */
#ifndef MOS_TEST_KILL_PORTS_H
#define MOS_TEST_KILL_PORTS_H

enum {
	PORTS = 10000, /* of each of these */
	STEADY = 10000,
	STREAMS = 20000,
	TRANSLATED = 30000,      /* two and two to one port */
	OWN_OUTSIDE = 33000,     /* each to a port of its own */
	TRANSLATED_ONCE = 36000, /* and only the first SYN */
	OUTSIDE = 40000,
	EDITED = 50000,
};

/* Of steady flows: port modulo STEADY_KINDS. */
enum { UNREAD, READ_IN_TIMER, READ_AT_ONCE, SENT_AGAIN, STEADY_KINDS };

enum {
	STEADY_BUFFER = 2000, /* bytes of unread data that are kept */
	STREAM_BUFFER = 8000,
};

/* How a payload that begins so is edited: behind that byte. */
enum {
	EDIT_INSERT = 'i',
	EDIT_INSERT_LONG = 'l',
	EDIT_CHOMP = 'c',
	EDIT_DROP = 'd', /* bytes are put in, then the packet is dropped */
	EDIT_NOTHING = '-',

	EDIT_BYTES = 4,
	EDIT_BYTES_LONG = 900,
};

#endif
