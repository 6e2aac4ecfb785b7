/*
 * Boolean words, and strings that grow.
 */
#ifndef ASTERISK_HEADERS_STRINGS_H
#define ASTERISK_HEADERS_STRINGS_H

#include <sys/types.h>
#include "asterisk.h"
#include "asterisk/threadstorage.h"

/** Growing may move it, so functions take the address of its pointer. */
struct ast_str {
	size_t len; /**< bytes allocated for str */
	size_t used; /**< bytes used, without the NUL */
	struct ast_threadstorage *ts;
	char str[0];
};

/** True for "yes", "true", "y", "t", "1" and "on", in any case. */
int ast_true(const char *val);
/** True for the opposite words. Unknown words are neither true nor false. */
int ast_false(const char *val);

#endif
