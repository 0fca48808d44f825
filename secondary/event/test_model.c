#include "secondary/event/test_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secondary/event/dispatch.h"

enum {
	EVENTS = 60, /* user-defined, until all starts over */
	SOCKS = 4,
	CALLBACKS = 3,                   /* 0: none */
	NODES = MOS_EVENT_BITS + EVENTS, /* built-in bits, then user-defined events */
	DEPTH = 3,
	LOG = 1 << 18,
};

/* Not assert: the check must hold in every build. */
#define REQUIRE(cond)                                                              \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* A node is a number: the bit of a built-in event, or MOS_EVENT_BITS + (id - MOS_UDE_FIRST). */
struct node {
	int parent;
	int root;   /* bit */
	int filter; /* 0: allocated */
	int arg;
};

/* What the model knows of a socket. */
struct plain_sock {
	uint8_t cb[MOS_HOOK_COUNT][NODES];
	uint8_t stopped;
};

struct real_sock {
	struct mos_cb_set *set;
	uint8_t stopped;
};

/* One dispatch under way, in either world. */
struct frame {
	struct frame *outer;
	uint64_t serial;
	unsigned depth;
	int sock;
	enum mos_hook hook;
	/* real */
	struct mos_event_dispatch d;
	/* model */
	uint8_t cb[NODES];  /* of the hook when it began */
	bool needed[NODES]; /* it or one below it has a callback */
	bool raised[NODES];
	int running;
};

/* Either the library or the model, for what filters and callbacks do. */
struct world {
	struct frame *top;
	uint64_t *log;
	size_t log_len;
	int (*raise)(int child);
	void (*change)(int sock, int node, enum mos_hook hook, int cb);
	void (*stop)(int sock);
	void (*dispatch)(int sock, enum mos_hook hook, uint32_t bits, uint64_t serial);
};

static struct node nodes[NODES];
static int node_count;
static struct plain_sock plain[SOCKS];
static struct real_sock real[SOCKS];
static struct mos_cb_sets sets;
static uint64_t real_log[LOG], plain_log[LOG];

/* ---- what filters and callbacks do: the same in both worlds ---- */

enum what { ASKED = 1, CALLED, RAISED };

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = (a ^ b * UINT64_C(0x9E3779B97F4A7C15)) + UINT64_C(0xD1B54A32D192ED03);

	x = (x ^ x >> 32) * UINT64_C(0xD6E8FEB86659FD93);
	x = (x ^ x >> 32) * UINT64_C(0xD6E8FEB86659FD93);
	return x ^ x >> 32;
}

static event_t event_of(int node)
{
	return node < MOS_EVENT_BITS ? (event_t)1 << node
	                             : (event_t)(node - MOS_EVENT_BITS) + MOS_UDE_FIRST;
}

static int node_of(event_t event)
{
	return event < MOS_UDE_FIRST ? __builtin_ctzll(event)
	                             : (int)(event - MOS_UDE_FIRST) + MOS_EVENT_BITS;
}

static void note(struct world *w, enum what what, int node, int detail)
{
	REQUIRE(w->log_len < LOG);
	w->log[w->log_len++] = (uint64_t)what << 56 | (uint64_t)w->top->depth << 48 |
	                       (uint64_t)w->top->sock << 40 | (uint64_t)(uint16_t)detail << 16 |
	                       (uint64_t)node;
}

/* A child of the node, or any event, or one that is none. */
static int choose_child(int node, uint64_t h)
{
	if (h % 4 != 0)
		for (int i = 0, n = node_count; i < n; i++) {
			int child = MOS_EVENT_BITS + (int)((h / 4 + (uint64_t)i) % EVENTS);

			if (child < node_count && nodes[child].parent == node)
				return child;
		}
	return MOS_EVENT_BITS + (int)(h / 4 % (uint64_t)(node_count - MOS_EVENT_BITS + 1));
}

static bool may_register(int node, enum mos_hook hook)
{
	static const uint32_t ok[MOS_HOOK_COUNT] = {0x1131, 0x685, 0x685};

	return (ok[hook] >> nodes[node].root & 1) != 0;
}

static void act(struct world *w, int node, uint64_t h)
{
	int sock = (int)(h >> 8 & 0xff) % SOCKS, other = (int)(h >> 16 & 0xffff) % node_count;
	enum mos_hook hook = (enum mos_hook)((h >> 32 & 0xff) % MOS_HOOK_COUNT);

	for (unsigned i = 0; i < (h & 3); i++) {
		int child = choose_child(node, mix(h, i + 1));

		note(w, RAISED, child, w->raise(child));
	}
	if ((h >> 40 & 15) == 0 && may_register(other, hook))
		w->change(sock, other, hook, (int)(h >> 44 & 0xf) % CALLBACKS);
	if ((h >> 48 & 63) == 0)
		w->stop(w->top->sock);
	if ((h >> 54 & 63) == 0 && w->top->depth + 1 < DEPTH)
		w->dispatch(sock, hook, (uint32_t)(h >> 16), h);
}

static bool ask(struct world *w, int node, int filter)
{
	uint64_t h = mix(w->top->serial, (uint64_t)node);

	note(w, ASKED, node, filter);
	act(w, node, h);
	return (h >> 60 & 3) != 0;
}

static void call(struct world *w, int node, int cb)
{
	note(w, CALLED, node, cb);
	act(w, node, mix(w->top->serial, (uint64_t)node + NODES));
}

/* ---- the real world ---- */

static int real_raise(int child);
static void real_change(int sock, int node, enum mos_hook hook, int cb);
static void real_stop(int sock);
static void real_dispatch(int sock, enum mos_hook hook, uint32_t bits, uint64_t serial);

static struct world real_world = {
	.log = real_log,
	.raise = real_raise,
	.change = real_change,
	.stop = real_stop,
	.dispatch = real_dispatch,
};

static void check_args(mctx_t mctx, int sock, int side, event_t event, const filter_arg_t *arg)
{
	int node = node_of(event);

	REQUIRE(mctx == (mctx_t)(uintptr_t)&sets);
	REQUIRE(sock == real_world.top->sock && side == MOS_SIDE_SVR);
	if (node < MOS_EVENT_BITS) {
		REQUIRE(arg == NULL);
		return;
	}
	REQUIRE(arg != NULL && arg->len == (size_t)nodes[node].arg);
	for (size_t i = 0; i < arg->len; i++)
		REQUIRE(((const uint8_t *)arg->arg)[i] == 0x55);
}

static bool filter_1(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	check_args(mctx, sock, side, event, arg);
	return ask(&real_world, node_of(event), 1);
}

static bool filter_2(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	check_args(mctx, sock, side, event, arg);
	return ask(&real_world, node_of(event), 2);
}

static void cb_1(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	check_args(mctx, sock, side, event, arg);
	call(&real_world, node_of(event), 1);
}

static void cb_2(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	check_args(mctx, sock, side, event, arg);
	call(&real_world, node_of(event), 2);
}

static const filter_t filters[] = {NULL, filter_1, filter_2};
static const callback_t callbacks[CALLBACKS] = {NULL, cb_1, cb_2};

static int real_raise(int child)
{
	return mos_event_dispatch_raise(&real_world.top->d, event_of(child));
}

static void real_change(int sock, int node, enum mos_hook hook, int cb)
{
	struct mos_cb_set *old = real[sock].set;

	real[sock].set = mos_cb_sets_change(&sets, old, event_of(node), hook, callbacks[cb]);
	REQUIRE(real[sock].set != NULL);
	mos_cb_set_unref(old);
}

static void real_stop(int sock)
{
	real[sock].stopped = 1 << MOS_SIDE_SVR;
}

static void real_dispatch(int sock, enum mos_hook hook, uint32_t bits, uint64_t serial)
{
	struct frame *outer = real_world.top;
	struct frame f = {
		.outer = outer,
		.serial = serial,
		.depth = outer != NULL ? outer->depth + 1 : 0,
		.sock = sock,
		.hook = hook,
		.d =
			{
				.mctx = (mctx_t)(uintptr_t)&sets,
				.set = real[sock].set,
				.outer = outer != NULL ? &outer->d : NULL,
				.stopped = &real[sock].stopped,
				.sock = sock,
				.side = MOS_SIDE_SVR,
				.hook = hook,
			},
	};

	real_world.top = &f;
	mos_event_dispatch_run(&f.d, bits);
	real_world.top = outer;
}

/* ---- the model ---- */

static int plain_raise(int child);
static void plain_change(int sock, int node, enum mos_hook hook, int cb);
static void plain_stop(int sock);
static void plain_dispatch(int sock, enum mos_hook hook, uint32_t bits, uint64_t serial);

static struct world plain_world = {
	.log = plain_log,
	.raise = plain_raise,
	.change = plain_change,
	.stop = plain_stop,
	.dispatch = plain_dispatch,
};

static int plain_raise(int child)
{
	struct frame *f = plain_world.top;

	if (child >= node_count || nodes[child].filter != 0 || nodes[child].parent != f->running)
		return -EINVAL;
	if (!f->needed[child])
		return -ENOENT;
	f->raised[child] = true;
	return 0;
}

static void plain_change(int sock, int node, enum mos_hook hook, int cb)
{
	plain[sock].cb[hook][node] = (uint8_t)cb;
}

static void plain_stop(int sock)
{
	plain[sock].stopped = 1 << MOS_SIDE_SVR;
}

static void visit(struct frame *f, int node)
{
	if (!f->needed[node] || plain[f->sock].stopped != 0)
		return;
	f->running = node;
	if (node >= MOS_EVENT_BITS && nodes[node].filter == 0 && !f->raised[node])
		return;
	if (node >= MOS_EVENT_BITS && nodes[node].filter != 0 &&
	    !ask(&plain_world, node, nodes[node].filter))
		return;
	if (f->cb[node] != 0 && plain[f->sock].stopped == 0)
		call(&plain_world, node, f->cb[node]);
	for (int child = node + 1; child < node_count; child++)
		if (nodes[child].parent == node)
			visit(f, child);
}

static void plain_dispatch(int sock, enum mos_hook hook, uint32_t bits, uint64_t serial)
{
	struct frame *outer = plain_world.top;
	struct frame f = {
		.outer = outer,
		.serial = serial,
		.depth = outer != NULL ? outer->depth + 1 : 0,
		.sock = sock,
		.hook = hook,
	};

	memcpy(f.cb, plain[sock].cb[hook], sizeof(f.cb));
	for (int node = node_count - 1; node >= 0; node--) {
		f.needed[node] |= f.cb[node] != 0;
		if (nodes[node].parent >= 0)
			f.needed[nodes[node].parent] |= f.needed[node];
	}
	plain_world.top = &f;
	for (int bit = 0; bit < MOS_EVENT_BITS; bit++)
		if ((bits >> bit & 1) != 0)
			visit(&f, bit);
	plain_world.top = outer;
}

/* ---- what holds between operations ---- */

static void check_masks(int sock)
{
	for (enum mos_hook hook = 0; hook < MOS_HOOK_COUNT; hook++) {
		uint32_t mask = 0;

		for (int node = 0; node < node_count; node++)
			if (plain[sock].cb[hook][node] != 0)
				mask |= 1u << nodes[node].root;
		REQUIRE(real[sock].set->mask[hook] == mask);
		REQUIRE((mask & ~atomic_load(&sets.wanted[hook])) == 0);
	}
}

static void check_sets(void)
{
	for (int a = 0; a < SOCKS; a++) {
		check_masks(a);
		for (int b = 0; b < a; b++)
			REQUIRE((real[a].set == real[b].set) ==
			        (memcmp(plain[a].cb, plain[b].cb, sizeof(plain[a].cb)) == 0));
	}
}

/* ---- operations ---- */

static int find_node(int parent, int filter, int arg)
{
	for (int node = MOS_EVENT_BITS; node < node_count; node++)
		if (nodes[node].parent == parent && nodes[node].filter == filter &&
		    nodes[node].arg == arg)
			return node;
	return -1;
}

static int add_node(int parent, int filter, int arg)
{
	nodes[node_count] = (struct node){parent, nodes[parent].root, filter, arg};
	return node_count++;
}

static bool registrable(int node)
{
	return may_register(node, MOS_HOOK_NULL) || may_register(node, MOS_HOOK_SND);
}

static void step_define(model_pick pick)
{
	uint8_t bytes[4] = {0x55, 0x55, 0x55, 0x55};
	int parent = (int)pick((uint32_t)node_count), filter = 1 + (int)pick(2), len = (int)pick(4);
	struct filter_arg arg = {.arg = bytes, .len = (size_t)len};
	int known = find_node(parent, filter, len);
	event_t id = 0;

	if (known < 0 && node_count == NODES)
		return;
	if (!registrable(parent)) {
		REQUIRE(mos_ude_define(event_of(parent), filters[filter], &arg, &id) == -EINVAL);
		return;
	}
	REQUIRE(mos_ude_define(event_of(parent), filters[filter], &arg, &id) == 0);
	REQUIRE(id == event_of(known >= 0 ? known : add_node(parent, filter, len)));
}

static void step_alloc(model_pick pick)
{
	int parent = (int)pick((uint32_t)node_count);
	event_t id = 0;

	if (node_count == NODES)
		return;
	if (!registrable(parent)) {
		REQUIRE(mos_ude_alloc(event_of(parent), &id) == -EINVAL);
		return;
	}
	REQUIRE(mos_ude_alloc(event_of(parent), &id) == 0);
	REQUIRE(id == event_of(add_node(parent, 0, 0)));
}

static void step_register(model_pick pick)
{
	int sock = (int)pick(SOCKS), node = (int)pick((uint32_t)node_count + 1);
	int cb = (int)pick(CALLBACKS);
	enum mos_hook hook = (enum mos_hook)pick(MOS_HOOK_COUNT);
	unsigned bit;

	if (node == node_count || !may_register(node, hook)) {
		REQUIRE(mos_event_check(event_of(node), hook, &bit) == -EINVAL);
		return;
	}
	REQUIRE(mos_event_check(event_of(node), hook, &bit) == 0);
	REQUIRE(bit == (unsigned)nodes[node].root);
	real_change(sock, node, hook, cb);
	plain_change(sock, node, hook, cb);
	check_sets();
}

static void step_dispatch(model_pick pick)
{
	int sock = (int)pick(SOCKS);
	enum mos_hook hook = (enum mos_hook)pick(MOS_HOOK_COUNT);
	uint32_t bits = pick(1 << MOS_EVENT_BITS);
	uint64_t serial = mix(pick(65536), 0);

	real_world.log_len = 0;
	plain_world.log_len = 0;
	real_dispatch(sock, hook, bits, serial);
	plain_dispatch(sock, hook, bits, serial);
	REQUIRE(real_world.log_len == plain_world.log_len);
	REQUIRE(memcmp(real_log, plain_log, real_world.log_len * sizeof(real_log[0])) == 0);
	for (sock = 0; sock < SOCKS; sock++) {
		REQUIRE(real[sock].stopped == plain[sock].stopped);
		real[sock].stopped = 0;
		plain[sock].stopped = 0;
	}
	check_sets();
}

/* One socket gets the set of another: a new flow on a passive socket. */
static void step_attach(model_pick pick)
{
	int from = (int)pick(SOCKS), to = (int)pick(SOCKS);
	struct mos_cb_set *old = real[to].set;

	real[to].set = mos_cb_set_ref(real[from].set);
	mos_cb_set_unref(old);
	plain[to] = plain[from];
}

static void begin(void)
{
	REQUIRE(mos_cb_sets_init(&sets) == 0);
	memset(plain, 0, sizeof(plain));
	for (int sock = 0; sock < SOCKS; sock++)
		real[sock] = (struct real_sock){.set = mos_cb_set_ref(sets.empty)};
	for (int bit = 0; bit < MOS_EVENT_BITS; bit++)
		nodes[bit] = (struct node){.parent = -1, .root = bit};
	node_count = MOS_EVENT_BITS;
}

static void end(void)
{
	for (int sock = 0; sock < SOCKS; sock++)
		mos_cb_set_unref(real[sock].set);
	for (int searches = 0; searches < 2; searches += sets.cursor == 0)
		mos_cb_sets_purge(&sets); /* one may have been under way */
	REQUIRE(sets.count == 1 && sets.bytes == sizeof(struct mos_cb_set));
	mos_cb_sets_fini(&sets);
	mos_ude_forget_all();
}

void model_step(model_pick pick)
{
	uint32_t n = pick(256);

	if (n < 24)
		step_define(pick);
	else if (n < 40)
		step_alloc(pick);
	else if (n < 128)
		step_register(pick);
	else if (n < 224)
		step_dispatch(pick);
	else if (n < 240)
		mos_cb_sets_purge(&sets);
	else if (n < 248)
		step_attach(pick);
	else if (pick(256) < 8) {
		end();
		begin();
	}
}

void model_begin(void)
{
	begin();
}

void model_end(void)
{
	end();
}
