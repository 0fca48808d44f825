/*
 * Numbers on the command line.
 */
#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

#include <stdbool.h>

/* Store the whole number from min to max that an option's text is; else complain on stderr. */
bool number_option(const char *program, char option, const char *text, int min, int max,
                   int *number);

#endif
