/*
 * The classic way to keep a table of connections: one context per CPU, no reassembly buffers,
 * states read in callbacks, a timer that re-arms itself, a SIGINT handler that destroys the
 * contexts while main() waits for them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <mos_api.h>

/* Classic programs bring this declaration themselves. */
int GetNumCPUs();

#define CPUS_MAX 16

struct row {
	int sock;
	int state[2];
	struct sockaddr_in addr[2];
	struct row *next;
};

static mctx_t contexts[CPUS_MAX];
static struct row *rows[CPUS_MAX];
static int core_limit = CPUS_MAX;

static struct row *find(mctx_t mctx, int sock)
{
	struct row *r;

	for (r = rows[mctx->cpu]; r; r = r->next)
		if (r->sock == sock)
			return r;
	return NULL;
}

static void on_start(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct row *r = calloc(1, sizeof(*r));
	socklen_t len = sizeof(r->addr);

	if (!r)
		exit(EXIT_FAILURE);
	r->sock = sock;
	if (mtcp_getpeername(mctx, sock, (void *)r->addr, &len, MOS_SIDE_BOTH) < 0) {
		perror("mtcp_getpeername");
		exit(EXIT_FAILURE);
	}
	r->next = rows[mctx->cpu];
	rows[mctx->cpu] = r;
}

static void on_state(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct row *r = find(mctx, sock);
	socklen_t len = sizeof(int);
	int name = side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR;

	if (!r)
		return;
	if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, name, (void *)&r->state[side], &len) < 0)
		exit(EXIT_FAILURE);
}

static void on_end(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct row **at, *r;

	for (at = &rows[mctx->cpu]; (r = *at) != NULL; at = &r->next)
		if (r->sock == sock) {
			*at = r->next;
			free(r);
			return;
		}
}

static void each_second(mctx_t mctx, int sock, int side, uint64_t event, filter_arg_t *arg)
{
	struct timeval tv = {1, 0};
	struct row *r;

	for (r = rows[mctx->cpu]; r; r = r->next)
		printf("[%d] %s:%u %s\n", mctx->cpu, inet_ntoa(r->addr[MOS_SIDE_CLI].sin_addr),
		       ntohs(r->addr[MOS_SIDE_CLI].sin_port),
		       r->state[MOS_SIDE_SVR] == TCP_ESTABLISHED ? "established" : "-");
	mtcp_settimer(mctx, sock, &tv, each_second);
}

static void on_sigint(int signum)
{
	int i;

	for (i = 0; i < core_limit; i++)
		mtcp_destroy_context(contexts[i]);
}

static void watch(mctx_t mctx)
{
	struct timeval tv = {1, 0};
	int none = 0, sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

	if (sock < 0)
		exit(EXIT_FAILURE);
	if (mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof(none)) < 0 ||
	    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof(none)) < 0)
		exit(EXIT_FAILURE);
	if (mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) ||
	    mtcp_register_callback(mctx, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state) ||
	    mtcp_register_callback(mctx, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state) ||
	    mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end))
		exit(EXIT_FAILURE);
	if (mtcp_settimer(mctx, sock, &tv, each_second))
		exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
	struct mtcp_conf conf;
	char *file = "mos.conf";
	int opt, i;

	core_limit = GetNumCPUs();
	while ((opt = getopt(argc, argv, "c:f:")) != -1) {
		if (opt == 'f')
			file = optarg;
		else if (opt == 'c' && atoi(optarg) <= GetNumCPUs())
			core_limit = atoi(optarg);
		else
			return EXIT_FAILURE;
	}
	if (mtcp_init(file) || mtcp_getconf(&conf))
		return EXIT_FAILURE;
	conf.num_cores = core_limit;
	mtcp_setconf(&conf);
	mtcp_register_signal(SIGINT, on_sigint);
	for (i = 0; i < core_limit; i++) {
		contexts[i] = mtcp_create_context(i);
		if (!contexts[i])
			return EXIT_FAILURE;
		watch(contexts[i]);
	}
	for (i = 0; i < core_limit; i++)
		mtcp_app_join(contexts[i]);
	mtcp_destroy();
	return 0;
}
