/*
 * The stream of a connection, which is opaque to modules.
 */
#ifndef HOST_STREAM_H
#define HOST_STREAM_H

#include <stddef.h>

#define HOST_TLS_MASK 0x5a

struct ast_tcptls_stream {
	int fd;
	int tls;
	int timeout; /**< in milliseconds, -1 to block for ever */
	int exclusive_input;
	unsigned char held[16384];
	size_t from, until;
	size_t owed; /**< octets of answers to key updates that are still to be written */
};

#endif
