/*
 * Formats and frames of the codecs that the tests use.
 */
#include <stdlib.h>
#include <string.h>
#include "asterisk/format.h"
#include "asterisk/format_cap.h"
#include "asterisk/format_pref.h"
#include "asterisk/frame.h"
#include "host.h"

/* The bytes and samples of a frame of `frame_ms`, from which those of any other length follow. */
static const struct codec {
	enum ast_format_id id;
	const char *name;
	int rate, frame_ms, bytes, samples;
} codecs[] = {
	{ AST_FORMAT_ULAW, "ulaw", 8000, 10, 80, 80 },
	{ AST_FORMAT_ALAW, "alaw", 8000, 10, 80, 80 },
	{ AST_FORMAT_GSM, "gsm", 8000, 20, 33, 160 },
	{ AST_FORMAT_G722, "g722", 16000, 10, 80, 160 },
	{ AST_FORMAT_SLINEAR, "slin", 8000, 10, 160, 80 },
	{ AST_FORMAT_SLINEAR16, "slin16", 16000, 10, 320, 160 },
	{ AST_FORMAT_SLINEAR48, "slin48", 48000, 10, 960, 480 },
	{ AST_FORMAT_G729A, "g729", 8000, 10, 10, 80 },
	{ AST_FORMAT_G719, "g719", 48000, 20, 1, 6 },
	{ AST_FORMAT_H264, "h264", 90000, 0, 0, 0 },
	{ AST_FORMAT_T140, "t140", 1000, 0, 0, 0 },
	{ AST_FORMAT_T140RED, "red", 1000, 0, 0, 0 },
};

struct ast_frame ast_null_frame = { .frametype = AST_FRAME_NULL };

static const struct codec *codec_of(enum ast_format_id id)
{
	static const struct codec unknown = { 0, "unknown", 8000, 0, 0, 0 };
	for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
		if (codecs[i].id == id)
			return &codecs[i];
	return &unknown;
}

void ast_format_clear(struct ast_format *format)
{
	memset(format, 0, sizeof *format);
}

void ast_format_copy(struct ast_format *dst, const struct ast_format *src)
{
	*dst = *src;
}

struct ast_format *ast_format_set(struct ast_format *format, enum ast_format_id id, int set_attributes, ...)
{
	(void) set_attributes;
	ast_format_clear(format);
	format->id = id;
	return format;
}

enum ast_format_cmp_res ast_format_cmp(const struct ast_format *format1, const struct ast_format *format2)
{
	return format1->id == format2->id ? AST_FORMAT_CMP_EQUAL : AST_FORMAT_CMP_NOT_EQUAL;
}

int ast_format_rate(const struct ast_format *format)
{
	return codec_of(format->id)->rate;
}

int ast_format_is_slinear(const struct ast_format *format)
{
	return format->id >= AST_FORMAT_SLINEAR && format->id <= AST_FORMAT_SLINEAR192;
}

int ast_format_get_video_mark(const struct ast_format *format)
{
	return format->fattr.rtp_marker_bit;
}

void ast_format_set_video_mark(struct ast_format *format)
{
	format->fattr.rtp_marker_bit = 1;
}

const char *ast_getformatname(const struct ast_format *format)
{
	return codec_of(format->id)->name;
}

struct ast_format_list ast_codec_pref_getsize(struct ast_codec_pref *pref, struct ast_format *format)
{
	const struct codec *codec = codec_of(format->id);
	struct ast_format_list list = { .format = *format, .samplespersecond = codec->rate };
	list.fr_len = codec->bytes;
	list.min_ms = list.inc_ms = codec->frame_ms;
	list.max_ms = 300;
	list.def_ms = list.cur_ms = codec->frame_ms ? 20 : 0;
	for (int i = 0; i < AST_CODEC_PREF_SIZE && pref; i++)
		if (pref->formats[i].id == format->id && pref->framing[i])
			list.cur_ms = pref->framing[i];
	strcpy(list.name, codec->name);
	return list;
}

int ast_codec_pref_setsize(struct ast_codec_pref *pref, struct ast_format *format, int framems)
{
	for (int i = 0; i < AST_CODEC_PREF_SIZE; i++) {
		if (!pref->formats[i].id || pref->formats[i].id == format->id) {
			pref->formats[i] = *format;
			pref->framing[i] = framems;
			return 0;
		}
	}
	return -1;
}

int ast_codec_get_samples(struct ast_frame *f)
{
	const struct codec *codec = codec_of(f->subclass.format.id);
	return codec->bytes ? f->datalen / codec->bytes * codec->samples : 0;
}

int ast_codec_get_len(struct ast_format *format, int samples)
{
	const struct codec *codec = codec_of(format->id);
	return codec->samples ? samples / codec->samples * codec->bytes : 0;
}

void ast_swapcopy_samples(void *dst, const void *src, int samples)
{
	const unsigned char *from = src;
	unsigned char *to = dst;
	for (int i = 0; i < samples; i++) {
		unsigned char first = from[2 * i];
		to[2 * i] = from[2 * i + 1];
		to[2 * i + 1] = first;
	}
}

struct ast_frame *ast_frdup(const struct ast_frame *fr)
{
	size_t source = fr->src ? strlen(fr->src) + 1 : 0, length = fr->data.ptr ? (size_t) fr->datalen : 0;
	size_t size = sizeof *fr + AST_FRIENDLY_OFFSET + length + source;
	struct ast_frame *copy = calloc(1, size);
	char *bytes = (char *) (copy + 1) + AST_FRIENDLY_OFFSET;
	*copy = *fr;
	copy->frame_list.next = NULL;
	copy->mallocd = AST_MALLOCD_HDR;
	copy->mallocd_hdr_len = size;
	copy->offset = AST_FRIENDLY_OFFSET;
	if (fr->datalen)
		copy->data.ptr = memcpy(bytes, fr->data.ptr, length);
	if (source)
		copy->src = memcpy(bytes + length, fr->src, source);
	return copy;
}

struct ast_frame *ast_frisolate(struct ast_frame *fr)
{
	return fr->mallocd & AST_MALLOCD_HDR ? fr : ast_frdup(fr);
}

void ast_frame_free(struct ast_frame *fr, int cache)
{
	(void) cache;
	while (fr) {
		struct ast_frame *next = fr->frame_list.next;
		if ((fr->mallocd & AST_MALLOCD_DATA) && fr->data.ptr)
			free((char *) fr->data.ptr - fr->offset);
		if ((fr->mallocd & AST_MALLOCD_SRC) && fr->src)
			free((void *) fr->src);
		if (fr->mallocd & AST_MALLOCD_HDR)
			free(fr);
		fr = next;
	}
}

struct ast_smoother {
	int bytes, held, flags;
	struct ast_frame frame;
	unsigned char room[AST_FRIENDLY_OFFSET];
	unsigned char out[8192];
	unsigned char waiting[8192];
};

struct ast_smoother *ast_smoother_new(int bytes)
{
	struct ast_smoother *smoother = calloc(1, sizeof *smoother);
	smoother->bytes = bytes;
	return smoother;
}

void ast_smoother_free(struct ast_smoother *s)
{
	free(s);
}

void ast_smoother_reset(struct ast_smoother *s, int bytes)
{
	memset(s, 0, sizeof *s);
	s->bytes = bytes;
}

void ast_smoother_reconfigure(struct ast_smoother *s, int bytes)
{
	s->bytes = bytes;
}

void ast_smoother_set_flags(struct ast_smoother *smoother, int flags)
{
	smoother->flags = flags;
}

int ast_smoother_test_flag(struct ast_smoother *s, int flag)
{
	return s->flags & flag;
}

int __ast_smoother_feed(struct ast_smoother *s, struct ast_frame *f, int swap)
{
	if (f->frametype != AST_FRAME_VOICE || s->held + f->datalen > (int) sizeof s->waiting)
		return -1;
	s->frame = *f;
	if (swap)
		ast_swapcopy_samples(s->waiting + s->held, f->data.ptr, f->datalen / 2);
	else
		memcpy(s->waiting + s->held, f->data.ptr, f->datalen);
	s->held += f->datalen;
	return 0;
}

struct ast_frame *ast_smoother_read(struct ast_smoother *s)
{
	if (s->held < s->bytes)
		return NULL;
	memcpy(s->out, s->waiting, s->bytes);
	s->held -= s->bytes;
	memmove(s->waiting, s->waiting + s->bytes, s->held);
	s->frame.data.ptr = s->out;
	s->frame.datalen = s->bytes;
	s->frame.offset = AST_FRIENDLY_OFFSET;
	s->frame.mallocd = 0;
	s->frame.frame_list.next = NULL;
	s->frame.samples = ast_codec_get_samples(&s->frame);
	return &s->frame;
}
