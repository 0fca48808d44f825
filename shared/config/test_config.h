/* Shared by the files of the configuration's test. */
#ifndef MOS_TEST_CONFIG_H
#define MOS_TEST_CONFIG_H

#include <check.h>

#include "shared/config/config.h"

/*
 * Parses a copy of the text that is exactly as long, so that a sanitizer sees any read beyond
 * it. Returns the result; the message is in test_config_err.
 */
int test_config_parse(struct mos_config *cfg, const char *text, size_t len);

extern char test_config_err[MOS_CONFIG_ERR_LEN];

/* Fails the test unless the text is accepted, or refused with just this message. */
void test_config_load(struct mos_config *out, const char *text);
void test_config_expect(const char *text, size_t len, const char *message);

#define TEST_CONFIG_GOOD "mos {\n netdev {\n  eth0 1\n  eth1 1\n }\n}\n"

TCase *test_config_errors(void);
TCase *test_config_model(void);

#endif
