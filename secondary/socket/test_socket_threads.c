/* Threads that change sockets while packets flow; see socket_bench.h. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "secondary/socket/socket_bench.h"

/* ---- threads ---- */

#define CHANGES 20000

static _Atomic bool done;
static _Atomic unsigned long calls;

static void count_call(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

static void walk(const struct mos_cb_set *set)
{
	for (uint32_t bits = set->mask[MOS_HOOK_SND]; bits; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctz(bits);
		struct mos_tree *tree = set->tree[MOS_HOOK_SND][bit];

		if (set->cb[MOS_HOOK_SND][bit] != NULL)
			set->cb[MOS_HOOK_SND][bit](NULL, 0, 0, 0, NULL);
		for (uint32_t i = 0; tree != NULL && i < tree->count; i++) {
			tree->step[i].raised ^= 1; /* the stack thread's own */
			if (tree->step[i].cb != NULL)
				tree->step[i].cb(NULL, 0, 0, 0, NULL);
		}
	}
}

/* What a packet of the flow needs of one passive socket. */
static void visit(struct mos_mon_sock *m, uint32_t f)
{
	const struct mos_cb_set *set = atomic_load_explicit(&m->flows[f].set, memory_order_acquire);
	const struct mos_filter *filter =
		atomic_load_explicit(&m->filter[MOS_FILTER_SYN], memory_order_acquire);

	if (set != NULL)
		walk(set);
	walk(atomic_load_explicit(&m->set, memory_order_acquire));
	if (filter != NULL)
		ck_assert_int_gt(filter->number, 0);
}

/* As the stack thread: flows come and go, sets are read and called, closed sockets are swept. */
static void *stack_thread(void *arg)
{
	mos_sockets_on_stack_thread();
	for (uint32_t round = 0; !atomic_load(&done); round++) {
		uint32_t f = round % FLOWS;

		mos_sockets_detach_flow(&socks, f);
		mos_sockets_attach_flow(&socks, f, round % 5 ? ALL : 0);
		for (unsigned i = 0; i < 10; i++) {
			uint64_t p = atomic_load(&socks.passive_path);

			for (; p != 0; p >>= 8)
				visit(&socks.mon[(p & 0xff) - 1], (f + i) % FLOWS);
		}
		if (round % 7 == 0) /* a callback may change its own flow */
			mos_socket_register(&socks, mos_active_id(&socks, 0, f), START,
			                    MOS_HOOK_SND, round % 2 ? count_call : NULL);
		mos_sockets_sweep(&socks);
	}
	return arg;
}

static event_t stress_events[16];

/* Register and unregister on passive socket 0 and on flows that come and go. */
static void *registrar(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < CHANGES; i++) {
		unsigned r = (unsigned)rand_r(&seed);
		event_t event = r % 3 ? stress_events[r / 3 % 16] : (event_t)1 << r % 12;
		int active = mos_active_id(&socks, 0, r % FLOWS), err;

		ck_assert_int_eq(mos_socket_register(&socks, 0, event, MOS_HOOK_SND,
		                                     i % 3 ? count_call : NULL),
		                 0);
		err = mos_socket_register(&socks, active, event, MOS_HOOK_SND, count_call);
		ck_assert(err == 0 || err == -EBADF);
		if (r % 8 == 0)
			bind_filters(0, new_filter(i + 1), r % 16 ? new_filter(i + 1) : NULL);
		ck_assert_int_ne(mos_socket_type(&socks, active), PASSIVE);
	}
	return NULL;
}

static void *opener(void *arg)
{
	for (int i = 0; i < CHANGES; i++) {
		int id = mos_socket_open(&socks, i % 2 ? PASSIVE : RAW);

		if (id < 0) { /* those closed before wait for the stack thread's sweep */
			ck_assert_int_eq(id, -ENFILE);
			continue;
		}
		mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, count_call);
		bind_filters(id, new_filter(i + 1), i % 2 ? new_filter(i + 1) : NULL);
		ck_assert_int_eq(mos_socket_close(&socks, id), 0);
	}
	return arg;
}

/* In the end nobody but the table holds a set: no reference was lost or given back twice. */
static void expect_no_references(void)
{
	mos_socket_close(&socks, 0);
	mos_sockets_sweep(&socks);
	for (uint32_t b = 0; b < socks.sets.bucket_count; b++)
		for (struct mos_cb_set *set = socks.sets.bucket[b]; set != NULL; set = set->next)
			ck_assert_uint_eq(refs_of(set), set == socks.sets.empty);
	ck_assert_int_eq(atomic_load(&filters), 0);
}

START_TEST(threads_change_sockets_while_packets_flow)
{
	pthread_t stack, t[3];

	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(
			mos_ude_alloc(i % 4 ? stress_events[i - 1] : PKT_IN, &stress_events[i]), 0);
	atomic_store(&done, false);
	ck_assert_int_eq(mos_socket_open(&socks, PASSIVE), 0);
	mos_socket_register(&socks, 0, PKT_IN, MOS_HOOK_SND, count_call);
	pthread_create(&stack, NULL, stack_thread, NULL);
	pthread_create(&t[0], NULL, registrar, (void *)1);
	pthread_create(&t[1], NULL, registrar, (void *)2);
	pthread_create(&t[2], NULL, opener, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	atomic_store(&done, true);
	pthread_join(stack, NULL);
	ck_assert_uint_gt(atomic_load(&calls), 0);
	mos_sockets_sweep(&socks);
	ck_assert_uint_eq(path(), 1); /* all but socket 0 are closed */
	ck_assert_uint_eq(atomic_load(&socks.raw_path), 0);
	expect_no_references();
}
END_TEST

/*
 * A handler that waits for the stack thread, which wants the lock, on top of a thread that has it:
 * nobody would go on. So no handler runs there.
 */
static _Atomic unsigned interruptions, interruptions_with_lock;

static void on_interrupt(int signum)
{
	if (pthread_mutex_trylock(&socks.lock) == 0) /* no other thread has it either */
		pthread_mutex_unlock(&socks.lock);
	else
		atomic_fetch_add(&interruptions_with_lock, 1);
	atomic_fetch_add(&interruptions, 1);
}

static void *interrupter(void *arg)
{
	while (!atomic_load(&done)) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

START_TEST(no_handler_runs_on_a_thread_that_holds_the_lock)
{
	struct sigaction sa = {.sa_handler = on_interrupt}, before;
	pthread_t self = pthread_self(), t;
	int id = mos_socket_open(&socks, PASSIVE);

	sigaction(SIGUSR1, &sa, &before);
	atomic_store(&done, false);
	pthread_create(&t, NULL, interrupter, &self);
	for (int i = 0; i < CHANGES || atomic_load(&interruptions) < 100; i++)
		mos_socket_register(&socks, id, PKT_IN, MOS_HOOK_SND, i % 2 ? cb_a : NULL);
	atomic_store(&done, true);
	pthread_join(t, NULL);
	sigaction(SIGUSR1, &before, NULL);
	ck_assert_uint_eq(atomic_load(&interruptions_with_lock), 0);
}
END_TEST

TCase *thread_case(void)
{
	TCase *tc = tcase_create("threads");

	tcase_set_timeout(tc, 100);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, threads_change_sockets_while_packets_flow);
	tcase_add_test(tc, no_handler_runs_on_a_thread_that_holds_the_lock);
	return tc;
}
