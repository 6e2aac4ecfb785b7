/*
 * A TCP or TLS connection of one of the core's servers.
 */
#ifndef ASTERISK_HEADERS_TCPTLS_H
#define ASTERISK_HEADERS_TCPTLS_H

#include <stdio.h>
#include <sys/types.h>
#include "asterisk/netsock2.h"

typedef struct ssl_st SSL;
struct ast_str;
struct ast_tcptls_session_args;
struct ast_tcptls_stream;

/**
 * Grew at its end: the last two members exist from 11.1.0 and 11.10.1 on. Whether there is a stream_cookie is known by
 * looking up ast_tcptls_stream_set_timeout_disable.
 */
struct ast_tcptls_session_instance {
	FILE *f; /**< Closed by the core when a callback returns, unless NULL. */
	int fd; /**< -1 goes with a NULL f from 11.10.1 on */
	SSL *ssl; /**< NULL for plain TCP */
	int client; /**< 1 when we connected */
	struct ast_sockaddr remote_address;
	struct ast_tcptls_session_args *parent;
	struct ast_str *overflow_buf;
	struct ast_tcptls_stream *stream_cookie;
};

ssize_t ast_tcptls_server_read(struct ast_tcptls_session_instance *ser, void *buf, size_t count);
ssize_t ast_tcptls_server_write(struct ast_tcptls_session_instance *ser, const void *buf, size_t count);

/* In cores that have the stream: 11.10.1 and later, the last one 11.10.2 and later. */
typedef void (*ast_tcptls_stream_set_timeout_disable_fn)(struct ast_tcptls_stream *);
typedef void (*ast_tcptls_stream_set_timeout_inactivity_fn)(struct ast_tcptls_stream *, int);
typedef void (*ast_tcptls_stream_set_timeout_sequence_fn)(struct ast_tcptls_stream *, struct timeval, int);
typedef void (*ast_tcptls_stream_set_exclusive_input_fn)(struct ast_tcptls_stream *, int);

#endif
