/*
 * Pages of the built-in web server.
 */
#ifndef ASTERISK_HEADERS_HTTP_H
#define ASTERISK_HEADERS_HTTP_H

#include "asterisk/config.h"
#include "asterisk/tcptls.h"

enum ast_http_method {
	AST_HTTP_UNKNOWN = -1,
	AST_HTTP_GET = 0,
	AST_HTTP_POST = 1,
	AST_HTTP_HEAD = 2,
	AST_HTTP_PUT = 3,
};

struct ast_http_uri;

/** Runs on the connection's own thread. The last two arguments are parameters and headers. */
typedef int (*ast_http_callback)(struct ast_tcptls_session_instance *, const struct ast_http_uri *, const char *,
	enum ast_http_method, struct ast_variable *, struct ast_variable *);

struct ast_http_uri {
	/** Belongs to the core while linked. */
	struct { struct ast_http_uri *next; } entry;
	const char *description;
	const char *uri; /**< Below the configured prefix, without slashes around. */
	ast_http_callback callback;
	unsigned int has_subtree:1; /**< everything below as well */
	unsigned int mallocd:1;
	unsigned int dmallocd:1;
	void *data;
	const char *key; /**< for ast_http_uri_unlink_all_with_key */
};

int ast_http_uri_link(struct ast_http_uri *urihandler);
void ast_http_uri_unlink(struct ast_http_uri *urihandler);
/** Writes the answer and leaves the connection to the caller. */
void ast_http_error(struct ast_tcptls_session_instance *ser, int status, const char *title, const char *text);

#endif
