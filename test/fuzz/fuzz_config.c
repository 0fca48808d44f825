/*
 * Any bytes as mos.conf. The copy is exactly as long as the input, so that AddressSanitizer sees
 * each read beyond it. What is accepted must keep the promises of config.h, because the primary
 * sizes memory by it; what is refused must come with one clean line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/config/config.h"
#include "test/fuzz/fuzz.h"

static struct mos_config cfg;

static void check_refused(const char *err)
{
	static const struct mos_config zero;
	const char *c;

	CHECK(memcmp(&cfg, &zero, sizeof(cfg)) == 0);
	CHECK(strncmp(err, "mos.conf:", 9) == 0);
	for (c = err; *c != '\0'; c++)
		CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void check_apps(void)
{
	uint32_t i, j;

	CHECK(cfg.app_count <= MOS_CONFIG_APP_MAX);
	for (i = 0; i < cfg.app_count; i++) {
		const struct mos_config_app *app = &cfg.app[i];

		CHECK(app->argc >= 1 && app->argc <= MOS_CONFIG_ARG_MAX && app->cpu_mask != 0);
		for (j = 0; j < app->argc; j++) {
			CHECK(app->arg_offset[j] < sizeof(app->args));
			CHECK(memchr(mos_config_app_arg(app, j), '\0',
			             sizeof(app->args) - app->arg_offset[j]) != NULL);
		}
	}
}

static void check_ports(void)
{
	uint32_t i;

	CHECK(cfg.port_count >= 1 && cfg.port_count <= MOS_CONFIG_PORT_MAX);
	for (i = 0; i < cfg.port_count; i++) {
		const struct mos_config_port *port = &cfg.port[i];

		CHECK(memchr(port->name, '\0', sizeof(port->name)) != NULL);
		CHECK(memchr(port->devargs, '\0', sizeof(port->devargs)) != NULL);
		CHECK((port->kind == MOS_CONFIG_PORT_IFACE) == (port->devargs[0] == '\0'));
		CHECK(mos_config_find_port(&cfg, port->name) == (int)i);
		if (port->peer != -1) {
			CHECK(port->peer >= 0 && port->peer < (int32_t)cfg.port_count);
			CHECK(port->peer != (int32_t)i);
			CHECK(cfg.port[port->peer].peer == (int32_t)i);
		}
	}
	CHECK(cfg.stat_print >> cfg.port_count == 0);
}

static void check_tables(void)
{
	uint32_t i;

	CHECK(cfg.arp_count <= MOS_CONFIG_ARP_MAX && cfg.route_count <= MOS_CONFIG_ROUTE_MAX);
	for (i = 0; i < cfg.arp_count; i++)
		CHECK(cfg.arp[i].prefix <= 32);
	for (i = 0; i < cfg.route_count; i++)
		CHECK(cfg.route[i].prefix <= 32 && cfg.route[i].port < cfg.port_count);
}

static void check_accepted(const char *err)
{
	CHECK(err[0] == '\0');
	CHECK(cfg.workers >= 1 && cfg.workers <= MOS_CONFIG_WORKER_MAX && cfg.cpu_mask != 0);
	CHECK(cfg.ring_size >= 256 && (cfg.ring_size & (cfg.ring_size - 1)) == 0);
	CHECK(cfg.flow_area >= 0 && cfg.flow_area <= 4096 && cfg.flow_area % 8 == 0);
	CHECK(cfg.stream_memory >= 1 && cfg.stream_memory <= 65536);
	CHECK(cfg.mbufs == 0 || cfg.mbufs >= 2048);
	CHECK(cfg.rmem_size > 0 && cfg.wmem_size > 0 && cfg.max_concurrency >= 2);
	CHECK(cfg.tcp_timeout == -1 || cfg.tcp_timeout >= 1);
	CHECK(cfg.fail_hold_ms >= 0 && cfg.stall_kill_ms >= 0 && cfg.tcp_tw_interval >= 0);
	CHECK(cfg.prefix[0] != '\0' && memchr(cfg.prefix, '\0', sizeof(cfg.prefix)) != NULL);
	CHECK(memchr(cfg.mos_log, '\0', sizeof(cfg.mos_log)) != NULL);
	CHECK(cfg.end_host || cfg.monitor);
	check_apps();
	check_ports();
	check_tables();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[MOS_CONFIG_ERR_LEN];
	char *copy = malloc(size > 0 ? size : 1);
	int rc;

	if (copy == NULL)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	memset(err, 'x', sizeof(err));
	rc = mos_config_parse(&cfg, "mos.conf", copy, size, err, sizeof(err));
	free(copy);
	CHECK(rc == 0 || rc == -EINVAL);
	if (rc == 0)
		check_accepted(err);
	else
		check_refused(err);
	return 0;
}
