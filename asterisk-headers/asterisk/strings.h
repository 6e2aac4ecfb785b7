/*
 * Yes, no, and the growing string.
 */
#ifndef ASTERISK_HEADERS_STRINGS_H
#define ASTERISK_HEADERS_STRINGS_H

#include <sys/types.h>
#include "asterisk.h"
#include "asterisk/threadstorage.h"

/** Grows in place of itself, so it is passed by the address of its pointer. */
struct ast_str {
	size_t len; /**< room in str */
	size_t used; /**< bytes taken, without the NUL */
	struct ast_threadstorage *ts;
	char str[0];
};

/** "yes", "true", "y", "t", "1", "on", in any case. */
int ast_true(const char *val);
/** Not the opposite of ast_true: unknown words are neither. */
int ast_false(const char *val);

#endif
