/*
 * Socket addresses of both families. A length of 0 means "no address".
 */
#ifndef ASTERISK_HEADERS_NETSOCK2_H
#define ASTERISK_HEADERS_NETSOCK2_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include "asterisk.h"

/* The address families for ast_sockaddr_resolve. */
enum {
	AST_AF_UNSPEC = 0,
	AST_AF_INET = 2,
	AST_AF_INET6 = 10,
};

/* Flags for the text form of an address. */
#define AST_SOCKADDR_STR_ADDR 1
#define AST_SOCKADDR_STR_PORT 2
#define AST_SOCKADDR_STR_BRACKETS 4 /**< brackets around IPv6 addresses */
#define AST_SOCKADDR_STR_REMOTE 8 /**< omits the scope of a link-local address */
#define AST_SOCKADDR_STR_HOST 5
#define AST_SOCKADDR_STR_DEFAULT 3
#define AST_SOCKADDR_STR_ADDR_REMOTE 9
#define AST_SOCKADDR_STR_HOST_REMOTE 13
#define AST_SOCKADDR_STR_DEFAULT_REMOTE 11

struct ast_sockaddr {
	struct sockaddr_storage ss;
	socklen_t len;
};

int ast_sockaddr_cmp(const struct ast_sockaddr *a, const struct ast_sockaddr *b);
int ast_sockaddr_cmp_addr(const struct ast_sockaddr *a, const struct ast_sockaddr *b);
int ast_sockaddr_is_any(const struct ast_sockaddr *addr);
int ast_sockaddr_is_ipv4(const struct ast_sockaddr *addr);
int ast_sockaddr_is_ipv4_mapped(const struct ast_sockaddr *addr);
int ast_sockaddr_is_ipv6(const struct ast_sockaddr *addr);
/** Returns 1 and fills in `ast_mapped` if the address is an IPv4-mapped IPv6 address. */
int ast_sockaddr_ipv4_mapped(const struct ast_sockaddr *addr, struct ast_sockaddr *ast_mapped);
/** The flags are PARSE_PORT_*. */
int ast_sockaddr_parse(struct ast_sockaddr *addr, const char *str, int flags);
/** Queries DNS and so may block. The caller frees the result. */
int ast_sockaddr_resolve(struct ast_sockaddr **addrs, const char *str, int flags, int family);
int ast_sockaddr_split_hostport(char *str, char **host, char **port, int flags);
/** Returns a thread-local buffer. */
char *ast_sockaddr_stringify_fmt(const struct ast_sockaddr *addr, int format);
uint16_t _ast_sockaddr_port(const struct ast_sockaddr *addr, const char *file, int line, const char *func);
void _ast_sockaddr_set_port(struct ast_sockaddr *addr, uint16_t port, const char *file, int line, const char *func);
void _ast_sockaddr_from_sin(struct ast_sockaddr *addr, const struct sockaddr_in *sin, const char *file, int line,
	const char *func);
int _ast_sockaddr_to_sin(const struct ast_sockaddr *addr, struct sockaddr_in *sin, const char *file, int line, const
	char *func);

int ast_bind(int sockfd, const struct ast_sockaddr *addr);
int ast_getsockname(int sockfd, struct ast_sockaddr *addr);
ssize_t ast_recvfrom(int sockfd, void *buf, size_t len, int flags, struct ast_sockaddr *src_addr);
ssize_t ast_sendto(int sockfd, const void *buf, size_t len, int flags, const struct ast_sockaddr *dest_addr);
int ast_set_qos(int sockfd, int tos, int cos, const char *desc);

#endif
