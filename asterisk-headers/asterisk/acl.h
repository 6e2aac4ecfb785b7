/*
 * Our address towards a peer, and the names of types of service.
 */
#ifndef ASTERISK_HEADERS_ACL_H
#define ASTERISK_HEADERS_ACL_H

#include "asterisk/netsock2.h"

int ast_ouraddrfor(const struct ast_sockaddr *them, struct ast_sockaddr *us);
int ast_find_ourip(struct ast_sockaddr *ourip, const struct ast_sockaddr *bindaddr, int family);
int ast_str2tos(const char *value, unsigned int *tos);
int ast_str2cos(const char *value, unsigned int *cos);

#endif
