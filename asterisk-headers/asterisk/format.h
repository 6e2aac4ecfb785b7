/*
 * Media formats: a number, and for some codecs also attributes.
 */
#ifndef ASTERISK_HEADERS_FORMAT_H
#define ASTERISK_HEADERS_FORMAT_H

#include <stdarg.h>
#include "asterisk.h"

struct ast_str;

#define AST_FORMAT_INC 100000 /**< the type of a format is its id, rounded down to a multiple of this */
#define AST_FORMAT_ATTR_SIZE 64
#define AST_FORMAT_ATTR_END (-1) /**< ends the variable argument list of functions that take attributes */

enum ast_format_type {
	AST_FORMAT_TYPE_AUDIO = 100000,
	AST_FORMAT_TYPE_VIDEO = 200000,
	AST_FORMAT_TYPE_IMAGE = 300000,
	AST_FORMAT_TYPE_TEXT = 400000,
};

enum ast_format_id {
	AST_FORMAT_G723_1 = 100001,
	AST_FORMAT_GSM = 100002,
	AST_FORMAT_ULAW = 100003,
	AST_FORMAT_ALAW = 100004,
	AST_FORMAT_G726_AAL2 = 100005, /**< with the nibbles in the opposite order */
	AST_FORMAT_ADPCM = 100006,
	AST_FORMAT_LPC10 = 100007,
	AST_FORMAT_G729A = 100008,
	AST_FORMAT_SPEEX = 100009,
	AST_FORMAT_ILBC = 100010,
	AST_FORMAT_G726 = 100011,
	AST_FORMAT_G722 = 100012,
	AST_FORMAT_SIREN7 = 100013,
	AST_FORMAT_SIREN14 = 100014,
	AST_FORMAT_G719 = 100015,
	AST_FORMAT_SPEEX16 = 100016,
	AST_FORMAT_TESTLAW = 100017,
	AST_FORMAT_SILK = 100018,
	AST_FORMAT_SLINEAR = 100019, /**< signed, 16 bits, 8 kHz, native byte order */
	AST_FORMAT_SLINEAR12 = 100020,
	AST_FORMAT_SLINEAR16 = 100021,
	AST_FORMAT_SLINEAR24 = 100022,
	AST_FORMAT_SLINEAR32 = 100023,
	AST_FORMAT_SLINEAR44 = 100024,
	AST_FORMAT_SLINEAR48 = 100025,
	AST_FORMAT_SLINEAR96 = 100026,
	AST_FORMAT_SLINEAR192 = 100027,
	AST_FORMAT_SPEEX32 = 100028,
	AST_FORMAT_CELT = 100029,
	AST_FORMAT_H261 = 200001,
	AST_FORMAT_H263 = 200002,
	AST_FORMAT_H263_PLUS = 200003,
	AST_FORMAT_H264 = 200004,
	AST_FORMAT_MP4_VIDEO = 200005,
	AST_FORMAT_JPEG = 300001,
	AST_FORMAT_PNG = 300002,
	AST_FORMAT_T140RED = 400001,
	AST_FORMAT_T140 = 400002,
};

enum ast_format_cmp_res {
	AST_FORMAT_CMP_EQUAL = 0,
	AST_FORMAT_CMP_NOT_EQUAL = 1,
	AST_FORMAT_CMP_SUBSET = 2,
};

struct ast_format_attr {
	uint32_t format_attr[64];
	uint8_t rtp_marker_bit; /**< set in the last packet of a picture */
};

struct ast_format {
	enum ast_format_id id;
	struct ast_format_attr fattr;
};

/** The properties of a format. Times are in milliseconds, lengths in bytes. */
struct ast_format_list {
	struct ast_format format;
	char name[64];
	unsigned int samplespersecond;
	char desc[128];
	int fr_len; /**< length of a frame of inc_ms */
	int min_ms;
	int max_ms;
	int inc_ms;
	int def_ms;
	unsigned int flags;
	int cur_ms; /**< the preferred length, in a list of preferences */
	int custom_entry;
};

void ast_format_clear(struct ast_format *format);
void ast_format_copy(struct ast_format *dst, const struct ast_format *src);
/** If `set_attributes` is set, attributes follow, up to AST_FORMAT_ATTR_END. */
struct ast_format *ast_format_set(struct ast_format *format, enum ast_format_id id, int set_attributes, ...);
enum ast_format_cmp_res ast_format_cmp(const struct ast_format *format1, const struct ast_format *format2);
/** Returns the sample rate in Hz. */
int ast_format_rate(const struct ast_format *format);
int ast_format_is_slinear(const struct ast_format *format);
int ast_format_get_video_mark(const struct ast_format *format);
void ast_format_set_video_mark(struct ast_format *format);
const char *ast_getformatname(const struct ast_format *format);
struct ast_format *ast_getformatbyname(const char *name, struct ast_format *format);

#endif
