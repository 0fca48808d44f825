/*
 * The flow hash on the bench: 64 Ki flows in the patterns of real networks (clients count their
 * ports up, hosts are numbered one after the other), fixed seeds, so each figure is reproducible.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

#include "shared/packet/hash.h"

enum { FLOWS = 65536, BUCKETS = 1024 };

typedef uint32_t (*flow_hash)(uint32_t i, uint64_t seed);

static uint32_t hash4(uint32_t saddr, uint32_t daddr, uint32_t sport, uint32_t dport, uint64_t seed)
{
	return mos_hash_join(mos_hash_end4(htonl(saddr), htons((uint16_t)sport), seed),
	                     mos_hash_end4(htonl(daddr), htons((uint16_t)dport), seed));
}

static uint32_t hash6(uint64_t client, uint32_t sport, uint64_t seed)
{
	static const uint8_t server[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 2};
	uint8_t addr[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1};

	for (int i = 0; i < 8; i++)
		addr[15 - i] = (uint8_t)(client >> 8 * i);
	return mos_hash_join(mos_hash_end6(addr, htons((uint16_t)sport), seed),
	                     mos_hash_end6(server, htons(443), seed));
}

static uint32_t ports(uint32_t i, uint64_t seed)
{
	return hash4(0x0a000001, 0x0a000102, i, 443, seed);
}

static uint32_t even_ports(uint32_t i, uint64_t seed)
{
	return hash4(0x0a000001 + (i >> 15), 0x0a000102, i * 2, 443, seed);
}

static uint32_t both_ports_alike(uint32_t i, uint64_t seed)
{
	return hash4(0x0a000001, 0x0a000102, i, i, seed);
}

static uint32_t clients(uint32_t i, uint64_t seed)
{
	return hash4(0x0a000000 + i, 0xc0a80001, 40000, 443, seed);
}

static uint32_t networks(uint32_t i, uint64_t seed)
{
	return hash4(i << 16, 0xc0a80001, 40000, 443, seed);
}

static uint32_t servers(uint32_t i, uint64_t seed)
{
	return hash4(0x0a000001, 0xc0a80000 + i, 40000, 80, seed);
}

static uint32_t clients_and_ports(uint32_t i, uint64_t seed)
{
	return hash4(0x0a000000 + i / 256, 0xc0a80001, 1024 + i % 256, 443, seed);
}

static uint32_t pairs_of_neighbours(uint32_t i, uint64_t seed)
{
	return hash4(0x0a000000 + i, 0x0a000001 + i, 179, 179, seed);
}

static uint32_t addresses_alone(uint32_t i, uint64_t seed)
{
	return hash4(0x0a000000 + i, 0xc0a80001, 0, 0, seed);
}

static uint32_t ports6(uint32_t i, uint64_t seed)
{
	return hash6(1, i, seed);
}

static uint32_t clients6(uint32_t i, uint64_t seed)
{
	return hash6(i, 40000, seed);
}

static uint32_t clients_and_ports6(uint32_t i, uint64_t seed)
{
	return hash6(0x0200000000000000 + (i >> 8), 1024 + (i & 0xff), seed);
}

static uint32_t upper_halves6(uint32_t i, uint64_t seed)
{
	return hash6((uint64_t)i << 48, 40000, seed);
}

static const flow_hash patterns[] = {
	ports,               /* one client, port by port */
	even_ports,          /* as Linux clients choose them */
	both_ports_alike,    /* XOR of the ports would be 0 */
	clients,             /* client by client, port alike */
	networks,            /* only upper address bits differ */
	servers,             /* a scan */
	clients_and_ports,   /* 256 clients, 256 ports each */
	pairs_of_neighbours, /* both addresses count up together */
	addresses_alone,     /* fragments, UDP */
	ports6,              /* IPv6: port by port */
	clients6,            /* client by client */
	clients_and_ports6,  /* 256 clients, 256 ports each */
	upper_halves6,       /* only the network part differs */
};
#define PATTERN_COUNT ((int)(sizeof(patterns) / sizeof(patterns[0])))

static const uint64_t seeds[] = {0, 1, UINT64_MAX, UINT64_C(0x9e3779b97f4a7c15)};
#define SEED_COUNT ((int)(sizeof(seeds) / sizeof(seeds[0])))

START_TEST(flows_spread_evenly_over_shards)
{
	static const uint32_t shard_counts[] = {2, 3, 5, 8};

	for (int s = 0; s < SEED_COUNT; s++)
		for (int n = 0; n < 4; n++) {
			uint32_t shards = shard_counts[n];
			uint32_t by_multiply[8] = {0}, by_modulo[8] = {0};

			for (uint32_t i = 0; i < FLOWS; i++) {
				uint32_t hash = patterns[_i](i, seeds[s]);

				by_multiply[(uint64_t)hash * shards >> 32]++;
				by_modulo[hash % shards]++;
			}
			for (uint32_t i = 0; i < shards; i++) {
				ck_assert_double_lt(by_multiply[i] * (double)shards / FLOWS, 1.15);
				ck_assert_double_lt(by_modulo[i] * (double)shards / FLOWS, 1.15);
			}
		}
}
END_TEST

/* Chi square over count cells of flows that should fall alike into each. */
static double chi_square(const uint32_t *cells, uint32_t count)
{
	double mean = (double)FLOWS / count, sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += (cells[i] - mean) * (cells[i] - mean) / mean;
	return sum;
}

/* 1023 degrees of freedom: mean 1023, deviation 45; the bounds are 6 deviations away. */
START_TEST(flows_spread_over_buckets_like_random_ones)
{
	for (int s = 0; s < SEED_COUNT; s++) {
		uint32_t upper[BUCKETS] = {0}, lower[BUCKETS] = {0};

		for (uint32_t i = 0; i < FLOWS; i++) {
			uint32_t hash = patterns[_i](i, seeds[s]);

			upper[hash >> 22]++;
			lower[hash % BUCKETS]++;
		}
		ck_assert_double_lt(chi_square(upper, BUCKETS), 1023 + 6 * 45);
		ck_assert_double_gt(chi_square(upper, BUCKETS), 1023 - 6 * 45);
		ck_assert_double_lt(chi_square(lower, BUCKETS), 1023 + 6 * 45);
		ck_assert_double_gt(chi_square(lower, BUCKETS), 1023 - 6 * 45);
	}
}
END_TEST

static int by_value(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Of 64 Ki random 32-bit values 0.5 pairs are expected to be alike; 8 would be no accident. */
START_TEST(flows_hardly_ever_share_a_hash)
{
	static uint32_t hashes[FLOWS];
	int alike = 0;

	for (uint32_t i = 0; i < FLOWS; i++)
		hashes[i] = patterns[_i](i, seeds[3]);
	qsort(hashes, FLOWS, sizeof(hashes[0]), by_value);
	for (uint32_t i = 1; i < FLOWS; i++)
		alike += hashes[i] == hashes[i - 1];
	ck_assert_int_lt(alike, 8);
}
END_TEST

START_TEST(every_input_bit_moves_every_output_bit)
{
	enum { BITS = 96, ROUNDS = 4096 };
	static uint32_t flips[BITS][32];
	uint64_t x = 88172645463325252; /* fixed: xorshift64 */

	for (int r = 0; r < ROUNDS; r++) {
		uint32_t v[3], hash;

		for (int i = 0; i < 3; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			v[i] = (uint32_t)(x >> 16);
		}
		hash = hash4(v[0], v[1], v[2] >> 16, v[2], seeds[3]);
		for (int bit = 0; bit < BITS; bit++) {
			uint32_t moved;

			v[bit / 32] ^= 1u << bit % 32;
			moved = hash ^ hash4(v[0], v[1], v[2] >> 16, v[2], seeds[3]);
			v[bit / 32] ^= 1u << bit % 32;
			for (int out = 0; out < 32; out++)
				flips[bit][out] += moved >> out & 1;
		}
	}
	for (int bit = 0; bit < BITS; bit++)
		for (int out = 0; out < 32; out++) { /* half of 4096, deviation 32 */
			ck_assert_uint_gt(flips[bit][out], 2048 - 6 * 32);
			ck_assert_uint_lt(flips[bit][out], 2048 + 6 * 32);
		}
}
END_TEST

START_TEST(hash_is_symmetric)
{
	for (uint32_t i = 0; i < 1000; i++)
		for (int s = 0; s < SEED_COUNT; s++)
			ck_assert_uint_eq(hash4(i * 77, i * 99, i, 443, seeds[s]),
			                  hash4(i * 99, i * 77, 443, i, seeds[s]));
}
END_TEST

START_TEST(seed_changes_the_hash)
{
	uint32_t alike = 0;

	for (uint32_t i = 0; i < FLOWS; i++)
		alike += ports(i, 1) % 8 == ports(i, 2) % 8;
	ck_assert_double_lt(alike * 8.0 / FLOWS, 1.15);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hash");
	TCase *tc = tcase_create("spread");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, flows_spread_evenly_over_shards, 0, PATTERN_COUNT);
	tcase_add_loop_test(tc, flows_spread_over_buckets_like_random_ones, 0, PATTERN_COUNT);
	tcase_add_loop_test(tc, flows_hardly_ever_share_a_hash, 0, PATTERN_COUNT);
	tcase_add_test(tc, every_input_bit_moves_every_output_bit);
	tcase_add_test(tc, hash_is_symmetric);
	tcase_add_test(tc, seed_changes_the_hash);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
