/*
 * Utility functions of the core.
 */
#ifndef ASTERISK_HEADERS_UTILS_H
#define ASTERISK_HEADERS_UTILS_H

#include "asterisk.h"

struct ast_flags {
	unsigned int flags;
};

struct ast_flags64 {
	uint64_t flags;
};

long ast_random(void);
int ast_base64encode(char *dst, const unsigned char *src, int srclen, int max);
int ast_base64decode(unsigned char *dst, const char *src, int max);
/** Writes 20 bytes. */
void ast_sha1_hash_uint(uint8_t *digest, const char *input);
/** Waits for this many milliseconds; returns what poll returns. */
int ast_wait_for_input(int fd, int ms);
/** Before 11.11.0, its last flush can loop forever because of an old value of errno. */
int ast_careful_fwrite(FILE *f, int fd, const char *s, size_t len, int timeoutms);

#endif
