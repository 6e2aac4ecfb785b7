/*
 * Handlers of the built-in HTTP server.
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

/** Called on the connection's own thread. The last two arguments are the query parameters and the headers. */
typedef int (*ast_http_callback)(struct ast_tcptls_session_instance *, const struct ast_http_uri *, const char *,
	enum ast_http_method, struct ast_variable *, struct ast_variable *);

struct ast_http_uri {
	/** The core's list, while linked. */
	struct { struct ast_http_uri *next; } entry;
	const char *description;
	const char *uri; /**< The path below the configured prefix, without slashes at either end. */
	ast_http_callback callback;
	unsigned int has_subtree:1; /**< also handles all paths below */
	unsigned int mallocd:1;
	unsigned int dmallocd:1;
	void *data;
	const char *key; /**< identifies it for ast_http_uri_unlink_all_with_key */
};

int ast_http_uri_link(struct ast_http_uri *urihandler);
void ast_http_uri_unlink(struct ast_http_uri *urihandler);
/** Writes the response; the caller closes the connection. */
void ast_http_error(struct ast_tcptls_session_instance *ser, int status, const char *title, const char *text);

#endif
