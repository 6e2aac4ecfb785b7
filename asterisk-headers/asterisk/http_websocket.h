/*
 * The WebSocket interface for other modules, provided by res_http_websocket. Its users hold weak references to the names
 * with two underscores; in a core built without weak references they use the names without.
 */
#ifndef ASTERISK_HEADERS_HTTP_WEBSOCKET_H
#define ASTERISK_HEADERS_HTTP_WEBSOCKET_H

#include <stdint.h>
#include "asterisk/config.h"
#include "asterisk/netsock2.h"

struct ast_websocket;

#define AST_DEFAULT_WEBSOCKET_WRITE_TIMEOUT 100 /**< milliseconds */

/** The opcodes of frames (RFC 6455 §5.2). */
enum ast_websocket_opcode {
	AST_WEBSOCKET_OPCODE_TEXT = 1,
	AST_WEBSOCKET_OPCODE_BINARY = 2,
	AST_WEBSOCKET_OPCODE_PING = 9,
	AST_WEBSOCKET_OPCODE_PONG = 10,
	AST_WEBSOCKET_OPCODE_CLOSE = 8,
	AST_WEBSOCKET_OPCODE_CONTINUATION = 0,
};

/** Called on the connection's own thread until the session ends. Owns a reference to the session. */
typedef void (*ast_websocket_callback)(struct ast_websocket *, struct ast_variable *, struct ast_variable *);

/** Returns -1 if the name is already registered. */
int __ast_websocket_add_protocol(const char *name, ast_websocket_callback callback);
int __ast_websocket_remove_protocol(const char *name, ast_websocket_callback callback);
/** Returns -1 if the connection is closed. The payload belongs to the session and is valid until the next read. */
int __ast_websocket_read(struct ast_websocket *session, char **payload, uint64_t *payload_len, enum
	ast_websocket_opcode *opcode, int *fragmented);
int __ast_websocket_write(struct ast_websocket *session, enum ast_websocket_opcode opcode, char *payload, uint64_t
	payload_size);
int __ast_websocket_close(struct ast_websocket *session, uint16_t reason);
void __ast_websocket_reconstruct_enable(struct ast_websocket *session, size_t bytes);
void __ast_websocket_reconstruct_disable(struct ast_websocket *session);
void __ast_websocket_ref(struct ast_websocket *session);
void __ast_websocket_unref(struct ast_websocket *session);
/** The descriptor that the user polls before reading. */
int __ast_websocket_fd(struct ast_websocket *session);
struct ast_sockaddr *__ast_websocket_remote_address(struct ast_websocket *session);
int __ast_websocket_is_secure(struct ast_websocket *session);
int __ast_websocket_set_nonblock(struct ast_websocket *session);
/** Sets the timeout of writes in milliseconds. Since 11.11.0 chan_sip ends the session if this fails. */
int __ast_websocket_set_timeout(struct ast_websocket *session, int timeout);

#endif
