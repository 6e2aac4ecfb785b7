/*
 * Sets of formats.
 */
#ifndef ASTERISK_HEADERS_FORMAT_CAP_H
#define ASTERISK_HEADERS_FORMAT_CAP_H

#include "asterisk/format.h"

struct ast_format_cap;

struct ast_format_cap *ast_format_cap_alloc(void);
struct ast_format_cap *ast_format_cap_alloc_nolock(void);
void *ast_format_cap_destroy(struct ast_format_cap *cap);
void ast_format_cap_add(struct ast_format_cap *cap, const struct ast_format *format);
void ast_format_cap_append(struct ast_format_cap *dst, const struct ast_format_cap *src);
int ast_format_cap_joint_append(const struct ast_format_cap *cap1, const struct ast_format_cap *cap2, struct
	ast_format_cap *result);
void ast_format_cap_remove_all(struct ast_format_cap *cap);
int ast_format_cap_is_empty(const struct ast_format_cap *cap);
int ast_format_cap_iscompatible(const struct ast_format_cap *cap, const struct ast_format *format);
void ast_format_cap_iter_start(struct ast_format_cap *cap);
int ast_format_cap_iter_next(struct ast_format_cap *cap, struct ast_format *format);
void ast_format_cap_iter_end(struct ast_format_cap *cap);

#endif
