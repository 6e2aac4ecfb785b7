/*
 * The stream of a connection, which modules know by name only.
 */
#ifndef HOST_STREAM_H
#define HOST_STREAM_H

#include <stddef.h>

#define HOST_TLS_MASK 0x5a

struct ast_tcptls_stream {
	int fd;
	int tls;
	int timeout; /**< milliseconds, -1 for ever */
	int exclusive_input;
	unsigned char held[16384];
	size_t from, until;
	size_t owed; /**< octets that answer key updates, still to be written */
};

#endif
