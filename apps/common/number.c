#include "apps/common/number.h"

#include <stdio.h>
#include <stdlib.h>

bool number_option(const char *program, char option, const char *text, int min, int max,
                   int *number)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < min || n > max) {
		fprintf(stderr, "%s: -%c %s: expected a number from %d to %d\n", program, option,
		        text, min, max);
		return false;
	}
	*number = (int)n;
	return true;
}
