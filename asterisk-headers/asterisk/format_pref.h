/*
 * A list of formats in order of preference, each with its preferred packet length.
 */
#ifndef ASTERISK_HEADERS_FORMAT_PREF_H
#define ASTERISK_HEADERS_FORMAT_PREF_H

#include "asterisk/format.h"

struct ast_format_cap;

#define AST_CODEC_PREF_SIZE 64

struct ast_codec_pref {
	struct ast_format formats[64];
	char order[64];
	int framing[64]; /**< milliseconds, 0 for the default */
};

struct ast_format_list ast_codec_pref_getsize(struct ast_codec_pref *pref, struct ast_format *format);
int ast_codec_pref_setsize(struct ast_codec_pref *pref, struct ast_format *format, int framems);
struct ast_format *ast_codec_pref_index(struct ast_codec_pref *pref, int index, struct ast_format *result);
int ast_codec_pref_append(struct ast_codec_pref *pref, struct ast_format *format);

#endif
