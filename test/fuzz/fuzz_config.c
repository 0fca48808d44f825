/*
 * Any bytes as mos.conf. The copy is exactly as long as the input, so that AddressSanitizer sees
 * each read beyond it. What is accepted must keep the promises of config.h, because the primary
 * sizes memory by it; what is refused must come with one clean line.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mos_config cfg;

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void check_refused(const char *err)
{
	static const struct mos_config zero;
	const char *c;

	require(memcmp(&cfg, &zero, sizeof(cfg)) == 0);
	require(strncmp(err, "mos.conf:", 9) == 0);
	for (c = err; *c != '\0'; c++)
		require((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void check_apps(void)
{
	uint32_t i, j;

	require(cfg.app_count <= MOS_CONFIG_APP_MAX);
	for (i = 0; i < cfg.app_count; i++) {
		const struct mos_config_app *app = &cfg.app[i];

		require(app->argc >= 1 && app->argc <= MOS_CONFIG_ARG_MAX && app->cpu_mask != 0);
		for (j = 0; j < app->argc; j++) {
			require(app->arg_offset[j] < sizeof(app->args));
			require(memchr(mos_config_app_arg(app, j), '\0',
			               sizeof(app->args) - app->arg_offset[j]) != NULL);
		}
	}
}

static void check_ports(void)
{
	uint32_t i;

	require(cfg.port_count >= 1 && cfg.port_count <= MOS_CONFIG_PORT_MAX);
	for (i = 0; i < cfg.port_count; i++) {
		const struct mos_config_port *port = &cfg.port[i];

		require(memchr(port->name, '\0', sizeof(port->name)) != NULL);
		require(memchr(port->devargs, '\0', sizeof(port->devargs)) != NULL);
		require((port->kind == MOS_CONFIG_PORT_IFACE) == (port->devargs[0] == '\0'));
		require(mos_config_find_port(&cfg, port->name) == (int)i);
		if (port->peer != -1) {
			require(port->peer >= 0 && port->peer < (int32_t)cfg.port_count);
			require(port->peer != (int32_t)i);
			require(cfg.port[port->peer].peer == (int32_t)i);
		}
	}
	require(cfg.stat_print >> cfg.port_count == 0);
}

static void check_tables(void)
{
	uint32_t i;

	require(cfg.arp_count <= MOS_CONFIG_ARP_MAX && cfg.route_count <= MOS_CONFIG_ROUTE_MAX);
	for (i = 0; i < cfg.arp_count; i++)
		require(cfg.arp[i].prefix <= 32);
	for (i = 0; i < cfg.route_count; i++)
		require(cfg.route[i].prefix <= 32 && cfg.route[i].port < cfg.port_count);
}

static void check_accepted(const char *err)
{
	require(err[0] == '\0');
	require(cfg.workers >= 1 && cfg.workers <= MOS_CONFIG_WORKER_MAX && cfg.cpu_mask != 0);
	require(cfg.ring_size >= 256 && (cfg.ring_size & (cfg.ring_size - 1)) == 0);
	require(cfg.flow_area >= 0 && cfg.flow_area <= 4096 && cfg.flow_area % 8 == 0);
	require(cfg.mbufs == 0 || cfg.mbufs >= 2048);
	require(cfg.rmem_size > 0 && cfg.wmem_size > 0 && cfg.max_concurrency >= 2);
	require(cfg.tcp_timeout == -1 || cfg.tcp_timeout >= 1);
	require(cfg.fail_hold_ms >= 0 && cfg.stall_kill_ms >= 0 && cfg.tcp_tw_interval >= 0);
	require(cfg.prefix[0] != '\0' && memchr(cfg.prefix, '\0', sizeof(cfg.prefix)) != NULL);
	require(memchr(cfg.mos_log, '\0', sizeof(cfg.mos_log)) != NULL);
	require(cfg.end_host || cfg.monitor);
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
	require(rc == 0 || rc == -EINVAL);
	if (rc == 0)
		check_accepted(err);
	else
		check_refused(err);
	return 0;
}
