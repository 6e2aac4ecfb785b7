/*
 * WebSockets, as other modules use them: res_http_websocket provides all of it. Users hold weak references to the names
 * with two underscores; a core built without weak references uses the names without.
 */
#ifndef ASTERISK_HEADERS_HTTP_WEBSOCKET_H
#define ASTERISK_HEADERS_HTTP_WEBSOCKET_H

#include <stdint.h>
#include "asterisk/config.h"
#include "asterisk/netsock2.h"

struct ast_websocket;

#define AST_DEFAULT_WEBSOCKET_WRITE_TIMEOUT 100 /**< milliseconds */

/** RFC 6455 §5.2. */
enum ast_websocket_opcode {
	AST_WEBSOCKET_OPCODE_TEXT = 1,
	AST_WEBSOCKET_OPCODE_BINARY = 2,
	AST_WEBSOCKET_OPCODE_PING = 9,
	AST_WEBSOCKET_OPCODE_PONG = 10,
	AST_WEBSOCKET_OPCODE_CLOSE = 8,
	AST_WEBSOCKET_OPCODE_CONTINUATION = 0,
};

/** Owns a reference to the session, and runs on the connection's own thread until done. */
typedef void (*ast_websocket_callback)(struct ast_websocket *, struct ast_variable *, struct ast_variable *);

/** Answers -1 when the name is taken. */
int __ast_websocket_add_protocol(const char *name, ast_websocket_callback callback);
int __ast_websocket_remove_protocol(const char *name, ast_websocket_callback callback);
/** Answers -1 when the connection is gone. The payload is the session's until the next read. */
int __ast_websocket_read(struct ast_websocket *session, char **payload, uint64_t *payload_len, enum
	ast_websocket_opcode *opcode, int *fragmented);
int __ast_websocket_write(struct ast_websocket *session, enum ast_websocket_opcode opcode, char *payload, uint64_t
	payload_size);
int __ast_websocket_close(struct ast_websocket *session, uint16_t reason);
void __ast_websocket_reconstruct_enable(struct ast_websocket *session, size_t bytes);
void __ast_websocket_reconstruct_disable(struct ast_websocket *session);
void __ast_websocket_ref(struct ast_websocket *session);
void __ast_websocket_unref(struct ast_websocket *session);
/** What the user polls before it reads. */
int __ast_websocket_fd(struct ast_websocket *session);
struct ast_sockaddr *__ast_websocket_remote_address(struct ast_websocket *session);
int __ast_websocket_is_secure(struct ast_websocket *session);
int __ast_websocket_set_nonblock(struct ast_websocket *session);
/** Milliseconds for a write. From 11.11.0 on chan_sip ends the session when this fails. */
int __ast_websocket_set_timeout(struct ast_websocket *session, int timeout);

#endif
