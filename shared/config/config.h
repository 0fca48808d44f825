/*
 * mos.conf: reads the one configuration file that the primary and all workers share.
 *
 *	application {                   # 0..10 blocks, for mtcp_getconf
 *		type = monitor
 *		run  = midstat -c 2
 *	}
 *	mos {                           # exactly one
 *		forward = 1             # scalar keys, one per line
 *		netdev {                # tables, one entry per line; only netdev is required
 *			eth0 0x3
 *			eth1 0x3
 *		}
 *		nic_forward_table {
 *			eth0 eth1
 *		}
 *	}
 *
 * Text. `#` starts a comment, except in quotes. A block opens with its name and `{`, which may
 * stand on a later line. A key's value and a table's entry end with the line or before `}`, so
 * `netdev { eth0 1 }` is fine. Quotes (' or ") keep spaces, `#` and braces together; there are
 * no escapes. Numbers are decimal, 0x hex or leading-0 octal. Names and values are case
 * sensitive. Nothing is ignored in silence: whatever is not understood is an error that names
 * file and line.
 *
 * Result. struct mos_config is plain data of fixed size without pointers. Times stay in the unit
 * of the file, which each field's name or comment gives. Every default is applied and every
 * reference between blocks is resolved. What workers must not read differently from the primary
 * is copied into shared memory (struct mos_settings).
 *
 * Not its job: whether a port, a CPU or a directory exists, opening anything but the file
 * itself, and matching packets against the tables.
 *
 * No state of its own, no output: any process, any thread.
 */
#ifndef MOS_SHARED_CONFIG_H
#define MOS_SHARED_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MOS_CONFIG_FILE_MAX    (1u << 20) /* bytes of the file */
#define MOS_CONFIG_LINE_MAX    1023       /* bytes of a line, comment included */
#define MOS_CONFIG_APP_MAX     10
#define MOS_CONFIG_ARG_MAX     20 /* words of `run`, as in struct mtcp_conf */
#define MOS_CONFIG_PORT_MAX    16
#define MOS_CONFIG_PAIR_MAX    16
#define MOS_CONFIG_ARP_MAX     128
#define MOS_CONFIG_ROUTE_MAX   128
#define MOS_CONFIG_WORKER_MAX  32
#define MOS_CONFIG_NAME_LEN    64  /* port name with its NUL, as in ethdev */
#define MOS_CONFIG_DEVARGS_LEN 512 /* device string with its NUL */
#define MOS_CONFIG_PATH_LEN    256
#define MOS_CONFIG_PREFIX_LEN  32
#define MOS_CONFIG_ERR_LEN     512 /* enough for any message */

enum mos_config_app_type {
	MOS_CONFIG_APP_UNSET,
	MOS_CONFIG_APP_END,
	MOS_CONFIG_APP_MONITOR,
};

enum mos_config_port_kind {
	MOS_CONFIG_PORT_IFACE, /* kernel interface: eth0, eth0.100 */
	MOS_CONFIG_PORT_VDEV,  /* DPDK virtual device: net_pcap0,rx_pcap=in.pcap */
	MOS_CONFIG_PORT_PCI,   /* 0000:03:00.0 or 03:00.0 */
};

enum mos_config_policy {
	MOS_CONFIG_FAIL_OPEN,   /* forward unmonitored */
	MOS_CONFIG_FAIL_CLOSED, /* drop */
};

enum mos_config_idle {
	MOS_CONFIG_IDLE_SLEEP,
	MOS_CONFIG_IDLE_POLL,
};

enum mos_config_clock {
	MOS_CONFIG_CLOCK_WALL,
	MOS_CONFIG_CLOCK_PACKET,
};

enum mos_config_end_of_file {
	MOS_CONFIG_EOF_RUN,
	MOS_CONFIG_EOF_STOP,
};

enum mos_config_tcp_checksum {
	MOS_CONFIG_CSUM_VERIFY,
	MOS_CONFIG_CSUM_TRUST,
};

/* One application block. */
struct mos_config_app {
	enum mos_config_app_type type;
	bool ip_forward;
	uint64_t cpu_mask;                       /* never 0 */
	uint32_t argc;                           /* [1, MOS_CONFIG_ARG_MAX] */
	uint16_t arg_offset[MOS_CONFIG_ARG_MAX]; /* into args */
	char args[MOS_CONFIG_LINE_MAX + 1];      /* the words of `run`, each with its NUL */
};

/* One line of netdev; its index is the port number used everywhere else. */
struct mos_config_port {
	char name[MOS_CONFIG_NAME_LEN];       /* interface, vdev without arguments, long PCI form */
	char devargs[MOS_CONFIG_DEVARGS_LEN]; /* vdev, PCI: name and arguments; interface: "" */
	enum mos_config_port_kind kind;
	int32_t peer;      /* other port of its nic_forward_table pair, -1: none */
	uint64_t cpu_mask; /* as written, 0: not given (all workers) */
};

struct mos_config_arp {
	uint32_t addr_be; /* network order, bits beyond the prefix cleared */
	uint8_t prefix;   /* bits, [0, 32] */
	uint8_t mac[6];
};

struct mos_config_route {
	uint32_t addr_be; /* network order, bits beyond the prefix cleared */
	uint8_t prefix;   /* bits, [0, 32] */
	uint8_t port;     /* index in port[] */
};

struct mos_config {
	/* Keys of upstream. Ranges and defaults: mos_config_describe(). */
	bool forward;            /* already ANDed with ip_forward of all applications */
	int32_t nb_mem_channels; /* 0: EAL chooses */
	int32_t max_concurrency; /* most flows of one worker at a time */
	int32_t rmem_size;       /* bytes per side of a flow */
	int32_t wmem_size;       /* bytes per end-host socket */
	int32_t tcp_tw_interval; /* s in TIME_WAIT */
	int32_t tcp_timeout;     /* s without a packet, -1: never */
	bool no_ring_buffers;
	char mos_log[MOS_CONFIG_PATH_LEN]; /* directory, "": no log */
	uint32_t stat_print;               /* bit i: port i */

	/* Our own keys. */
	char prefix[MOS_CONFIG_PREFIX_LEN];
	int32_t workers; /* [1, MOS_CONFIG_WORKER_MAX] */
	enum mos_config_policy fail_policy;
	int32_t fail_hold_ms; /* wait before fail_policy applies, 0: at once */
	enum mos_config_idle idle;
	enum mos_config_clock clock;
	enum mos_config_end_of_file end_of_file;
	int32_t flow_area;     /* bytes per flow, multiple of 8 */
	int32_t stream_memory; /* MB per shard */
	int32_t stall_kill_ms; /* 0: never */
	bool ipv6;
	int32_t ring_size; /* slots, power of two */
	int32_t mbufs;     /* 0: computed */
	int32_t mbuf_size; /* data room in bytes, headroom not counted */
	int32_t io_cpu;    /* -1: any */
	enum mos_config_tcp_checksum tcp_checksum;

	/* Derived from the blocks. */
	bool end_host;     /* some application has `type = end` */
	bool monitor;      /* some application has `type = monitor`, or none has a type */
	uint64_t cpu_mask; /* union of the netdev masks, else one bit per worker */

	uint32_t app_count, port_count, arp_count, route_count;
	struct mos_config_app app[MOS_CONFIG_APP_MAX];
	struct mos_config_port port[MOS_CONFIG_PORT_MAX];
	struct mos_config_arp arp[MOS_CONFIG_ARP_MAX];
	struct mos_config_route route[MOS_CONFIG_ROUTE_MAX];
};

/*
 * Read the regular file `path` into *cfg. On failure *cfg is zeroed, err (if err_len > 0)
 * receives one line without newline, "path:line: cause", and the result is
 *	-EINVAL   the text is not a configuration, or path is no regular file
 *	-EFBIG    more than MOS_CONFIG_FILE_MAX bytes
 *	-ENOMEM   no memory for the text; trying again may help
 *	-errno    of open or read
 */
int mos_config_load(struct mos_config *cfg, const char *path, char *err, size_t err_len);

/* The same for `len` bytes of text (no NUL needed); `name` stands for the file in messages. */
int mos_config_parse(struct mos_config *cfg, const char *name, const char *text, size_t len,
                     char *err, size_t err_len);

/* Print every key with unit, range, default and meaning, from the table the parser uses. */
void mos_config_describe(FILE *out);

/*
 * Find the port that `name` names as the file would (vdev arguments are not compared, PCI
 * addresses may be short). Returns its index, or -ENOENT.
 */
int mos_config_find_port(const struct mos_config *cfg, const char *name);

/* Word i of `run`, i < app->argc. */
static inline const char *mos_config_app_arg(const struct mos_config_app *app, uint32_t i)
{
	return app->args + app->arg_offset[i];
}

#endif
