#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "shared/config/config_parse.h"

static int fail_usage(struct mos_config_parser *p, enum mos_config_block_id id)
{
	const struct mos_config_block *block = &mos_config_blocks[id];

	return mos_config_fail(p, p->line, "a line of `%s` is `%s`; is a `}` missing above?",
	                       block->name, block->usage);
}

/* Read [digits_min, digits_max] hex digits. Returns what follows them or NULL. */
static const char *scan_hex(const char *text, int digits_min, int digits_max, unsigned int *value)
{
	static const char digits[] = "0123456789abcdef";
	int n;

	*value = 0;
	for (n = 0; *text != '\0'; n++, text++) {
		char lower = *text >= 'A' && *text <= 'F' ? (char)(*text - 'A' + 'a') : *text;
		const char *digit = strchr(digits, lower);

		if (digit == NULL)
			break;
		if (n == digits_max)
			return NULL;
		*value = *value * 16 + (unsigned int)(digit - digits);
	}
	return n >= digits_min ? text : NULL;
}

static const char *scan_byte_of(const char *text, char before, int digits_max, unsigned int *value)
{
	if (text == NULL || *text != before)
		return NULL;
	return scan_hex(text + 1, digits_max, digits_max, value);
}

/* [domain:]bus:device.function, which ends at `args`; writes the long form. */
static bool read_pci(const char *text, const char *args, char *name, size_t len)
{
	unsigned int domain, bus, device, function;
	const char *at;

	at = scan_byte_of(scan_hex(text, 4, 8, &domain), ':', 2, &bus);
	if (at == NULL) {
		domain = 0;
		at = scan_hex(text, 2, 2, &bus);
	}
	at = scan_byte_of(at, ':', 2, &device);
	at = scan_byte_of(at, '.', 1, &function);
	if (at != args || device > 0x1f || function > 7)
		return false;
	snprintf(name, len, "%04x:%02x:%02x.%x", domain, bus, device, function);
	return true;
}

static bool is_port_name(const char *text, size_t len)
{
	size_t i;

	if (len == 0 || !(mos_config_is_alnum(text[0]) || text[0] == '_'))
		return false;
	for (i = 1; i < len; i++)
		if (!mos_config_is_alnum(text[i]) && strchr("_.-", text[i]) == NULL)
			return false;
	return true;
}

/* Fill name, devargs and kind of *port. Returns NULL or what is wrong with the word. */
static const char *read_port(const char *word, struct mos_config_port *port)
{
	size_t name_len = strcspn(word, ",");
	const char *args = word + name_len;

	memset(port, 0, sizeof(*port));
	if (memchr(word, ':', name_len) != NULL) {
		port->kind = MOS_CONFIG_PORT_PCI;
		if (!read_pci(word, args, port->name, sizeof(port->name)))
			return "no PCI address like 0000:03:00.0";
	} else {
		if (!is_port_name(word, name_len))
			return "a port has letters, digits, _ . and - in its name";
		if (name_len >= sizeof(port->name))
			return "port name longer than 63 bytes";
		memcpy(port->name, word, name_len);
		if (strncmp(word, "net_", 4) == 0)
			port->kind = MOS_CONFIG_PORT_VDEV;
	}
	if (port->kind == MOS_CONFIG_PORT_IFACE) {
		if (*args != '\0')
			return "only a PCI address or a vdev (net_...) takes arguments";
		if (name_len >= IFNAMSIZ)
			return "interface name longer than 15 bytes";
		return NULL;
	}
	if (strlen(port->name) + strlen(args) >= sizeof(port->devargs))
		return "device arguments longer than 511 bytes";
	strcpy(port->devargs, port->name);
	strcat(port->devargs, args);
	return NULL;
}

int mos_config_find_port(const struct mos_config *cfg, const char *name)
{
	struct mos_config_port port;
	uint32_t i;

	if (read_port(name, &port) != NULL)
		return -ENOENT;
	for (i = 0; i < cfg->port_count; i++)
		if (strcmp(cfg->port[i].name, port.name) == 0)
			return (int)i;
	return -ENOENT;
}

/* Find a port. Returns its index, or -EINVAL after a message. */
int mos_config_port_ref(struct mos_config_parser *p, const char *name)
{
	struct mos_config_near near = {.word = name};
	const struct mos_config *cfg = p->cfg;
	int port = mos_config_find_port(cfg, name);
	uint32_t i;

	if (port >= 0)
		return port;
	for (i = 0; i < cfg->port_count; i++)
		mos_config_near_try(&near, cfg->port[i].name);
	if (near.best != NULL)
		return mos_config_fail(p, p->line, "unknown port `%.64s`; did you mean `%s`?", name,
		                       near.best);
	return mos_config_fail(p, p->line, "unknown port `%.64s`; netdev does not have it", name);
}

/* <port> [cpu mask] */
int mos_config_netdev_entry(struct mos_config_parser *p)
{
	const struct mos_config_words *w = &p->words;
	struct mos_config *cfg = p->cfg;
	struct mos_config_port *port = &cfg->port[cfg->port_count];
	const char *cause;

	if (w->count > 2)
		return fail_usage(p, MOS_BLOCK_NETDEV);
	cause = read_port(w->word[0], port);
	if (cause != NULL)
		return mos_config_fail(p, p->line, "`%.64s`: %s", w->word[0], cause);
	if (mos_config_find_port(cfg, port->name) >= 0)
		return mos_config_fail(p, p->line, "port `%s` is given twice", port->name);
	port->peer = -1;
	if (w->count == 2 && mos_config_mask(p, w->word[1], &port->cpu_mask) != 0)
		return -EINVAL;
	cfg->port_count++;
	return 0;
}

/* <ip>[/<prefix>]; a plain address is a single host. */
static int read_prefix(struct mos_config_parser *p, const char *word, uint32_t *addr_be,
                       uint8_t *prefix)
{
	size_t len = strcspn(word, "/");
	char text[INET_ADDRSTRLEN];
	struct in_addr addr;
	uint64_t bits = 32;
	bool negative = false;

	if (len >= sizeof(text))
		return mos_config_fail(p, p->line, "`%.40s` is not an IPv4 address", word);
	memcpy(text, word, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, &addr) != 1)
		return mos_config_fail(p, p->line, "`%.40s` is not an IPv4 address", text);
	if (word[len] == '/' &&
	    (mos_config_number(word + len + 1, &negative, &bits) != 0 || negative || bits > 32))
		return mos_config_fail(p, p->line, "`%.40s`: the prefix is 0..32 bits", word);
	*addr_be = bits == 0 ? 0 : addr.s_addr & htonl(UINT32_MAX << (32 - bits));
	*prefix = (uint8_t)bits;
	return 0;
}

static bool read_mac(const char *word, uint8_t mac[6])
{
	unsigned int value;
	int i;

	for (i = 0; i < 6; i++) {
		word = scan_hex(word, 1, 2, &value);
		if (word == NULL || *word != (i < 5 ? ':' : '\0'))
			return false;
		word++;
		mac[i] = (uint8_t)value;
	}
	return true;
}

/* <ip>[/<prefix>] <mac> */
int mos_config_arp_entry(struct mos_config_parser *p)
{
	const struct mos_config_words *w = &p->words;
	struct mos_config *cfg = p->cfg;
	struct mos_config_arp *arp = &cfg->arp[cfg->arp_count];
	uint32_t i;

	if (w->count != 2)
		return fail_usage(p, MOS_BLOCK_ARP);
	if (read_prefix(p, w->word[0], &arp->addr_be, &arp->prefix) != 0)
		return -EINVAL;
	if (!read_mac(w->word[1], arp->mac))
		return mos_config_fail(p, p->line, "`%.40s` is not a MAC address", w->word[1]);
	for (i = 0; i < cfg->arp_count; i++)
		if (cfg->arp[i].addr_be == arp->addr_be && cfg->arp[i].prefix == arp->prefix)
			return mos_config_fail(p, p->line, "`%.40s` is given twice", w->word[0]);
	cfg->arp_count++;
	return 0;
}

/* <ip>[/<prefix>] <port> */
int mos_config_route_entry(struct mos_config_parser *p)
{
	const struct mos_config_words *w = &p->words;
	struct mos_config *cfg = p->cfg;
	struct mos_config_route *route = &cfg->route[cfg->route_count];
	uint32_t i;
	int port;

	if (w->count != 2)
		return fail_usage(p, MOS_BLOCK_ROUTE);
	if (read_prefix(p, w->word[0], &route->addr_be, &route->prefix) != 0)
		return -EINVAL;
	port = mos_config_port_ref(p, w->word[1]);
	if (port < 0)
		return port;
	for (i = 0; i < cfg->route_count; i++)
		if (cfg->route[i].addr_be == route->addr_be &&
		    cfg->route[i].prefix == route->prefix)
			return mos_config_fail(p, p->line, "`%.40s` is given twice", w->word[0]);
	route->port = (uint8_t)port;
	cfg->route_count++;
	return 0;
}

/* <port> <port> */
int mos_config_forward_entry(struct mos_config_parser *p)
{
	const struct mos_config_words *w = &p->words;
	struct mos_config *cfg = p->cfg;
	int port[2], i;

	if (w->count != 2)
		return fail_usage(p, MOS_BLOCK_FORWARD);
	for (i = 0; i < 2; i++) {
		const struct mos_config_port *end;

		port[i] = mos_config_port_ref(p, w->word[i]);
		if (port[i] < 0)
			return port[i];
		end = &cfg->port[port[i]];
		if (end->peer >= 0)
			return mos_config_fail(p, p->line, "port `%s` already has the pair `%s`",
			                       end->name, cfg->port[end->peer].name);
	}
	if (port[0] == port[1])
		return mos_config_fail(p, p->line, "a pair needs two ports, `%s` is one",
		                       cfg->port[port[0]].name);
	cfg->port[port[0]].peer = port[1];
	cfg->port[port[1]].peer = port[0];
	return 0;
}
