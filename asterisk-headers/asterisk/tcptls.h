/*
 * TCP and TLS connections of the core's servers.
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
 * The last two members exist since 11.1.0 and 11.10.1. A core has stream_cookie if it has the function
 * ast_tcptls_stream_set_timeout_disable, which is looked up.
 */
struct ast_tcptls_session_instance {
	FILE *f; /**< The core closes it after the callback, unless it is NULL. */
	int fd; /**< must be -1 if f is NULL, since 11.10.1 */
	SSL *ssl; /**< NULL for plain TCP */
	int client; /**< 1 for outgoing connections */
	struct ast_sockaddr remote_address;
	struct ast_tcptls_session_args *parent;
	struct ast_str *overflow_buf;
	struct ast_tcptls_stream *stream_cookie;
};

ssize_t ast_tcptls_server_read(struct ast_tcptls_session_instance *ser, void *buf, size_t count);
ssize_t ast_tcptls_server_write(struct ast_tcptls_session_instance *ser, const void *buf, size_t count);

/* Exist in cores with the stream: since 11.10.1, the last one since 11.10.2. */
typedef void (*ast_tcptls_stream_set_timeout_disable_fn)(struct ast_tcptls_stream *);
typedef void (*ast_tcptls_stream_set_timeout_inactivity_fn)(struct ast_tcptls_stream *, int);
typedef void (*ast_tcptls_stream_set_timeout_sequence_fn)(struct ast_tcptls_stream *, struct timeval, int);
typedef void (*ast_tcptls_stream_set_exclusive_input_fn)(struct ast_tcptls_stream *, int);

#endif
