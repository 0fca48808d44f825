/*
 * One rule of the firewall: how it is written, and which connections it matches.
 *
 *   drop|pass  any
 *   drop|pass  src END | dst END | src END dst END
 *   END =      ADDRESS | ADDRESS port PORTS | any port PORTS | port PORTS
 *
 *   drop src 10.0.0.0/8 dst 192.168.1.5 port 22
 *   pass src 2001:db8::/32
 *   drop dst port 6000-6063        # whatever the addresses
 *
 * ADDRESS is an IPv4 or IPv6 address or prefix; PORTS one number or a range, both ends included.
 * src is who opens the connection. What a rule does not name, it does not look at: a rule without
 * address is for IPv4 and IPv6 alike. '#' begins a comment.
 *
 * Pure: no packets, no files, no shared state; any thread.
 */
#ifndef SIMPLE_FIREWALL_RULE_H
#define SIMPLE_FIREWALL_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULE_ERROR_LEN 256

enum { RULE_SRC = 0, RULE_DST = 1 };

/* An address as it is on the wire; IPv4 takes the first 4 bytes, the others are 0. */
union rule_addr {
	uint8_t byte[16];
	uint64_t word[2];
};

struct rule_end {
	union rule_addr addr; /* no bit set that is not in mask */
	union rule_addr mask;
	uint16_t port_first; /* host byte order, both included */
	uint16_t port_last;
};

struct rule {
	bool drop;  /* else pass */
	int family; /* AF_INET, AF_INET6; AF_UNSPEC = either */
	struct rule_end end[2];
	const char *text; /* as written, without comment: a part of what was parsed, no NUL */
	unsigned text_len;
	unsigned line; /* of the file; the reader's */
};

/* Who wants to talk to whom: what a rule looks at. */
struct rule_key {
	int family; /* AF_INET, AF_INET6 */
	union rule_addr addr[2];
	uint16_t port[2]; /* host byte order */
};

/*
 * Read one line, without its newline; len bytes, any bytes. r->text points into the line.
 * Returns 1 and fills *r, 0 when the line holds no rule, -EINVAL and what is wrong in err: one
 * line of printable characters.
 */
int rule_parse(struct rule *r, const char *line, size_t len, char err[static RULE_ERROR_LEN]);

bool rule_matches(const struct rule *r, const struct rule_key *key);

#endif
