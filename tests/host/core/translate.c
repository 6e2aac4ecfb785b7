/*
 * Translators, and paths of one translator.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include "asterisk/format.h"
#include "asterisk/logger.h"
#include "asterisk/module.h"
#include "asterisk/translate.h"
#include "host.h"

static struct ast_translator *translators;

static struct ast_translator **link_to(const struct ast_translator *translator)
{
	struct ast_translator **link = &translators;
	while (*link && *link != translator)
		link = &(*link)->list.next;
	return link;
}

static struct ast_trans_pvt *begin(struct ast_translator *translator)
{
	struct ast_trans_pvt *path =
		calloc(1, sizeof *path + translator->desc_size + AST_FRIENDLY_OFFSET + translator->buf_size);
	path->t = translator;
	path->pvt = path + 1;
	path->outbuf.c = (char *) (path + 1) + translator->desc_size + AST_FRIENDLY_OFFSET;
	if (translator->newpvt(path)) {
		free(path);
		return NULL;
	}
	ast_module_ref(translator->module);
	return path;
}

static void frame_in(struct ast_trans_pvt *path, struct ast_frame *frame)
{
	int before = path->samples;
	path->f.flags = frame->flags & AST_FRFLAG_HAS_TIMING_INFO;
	path->f.ts = frame->ts;
	path->f.len = frame->len;
	path->f.seqno = frame->seqno;
	path->t->framein(path, frame);
	/* As older cores do. */
	if (path->samples == before)
		ast_log(__LOG_WARNING, __FILE__, __LINE__, __func__, "%s did not update samples %d\n", path->t->name, before);
}

/* Runs a second of sound through the translator. Without an end to the samples, this would not end either. */
static int is_whole(struct ast_translator *translator)
{
	struct ast_trans_pvt *path = begin(translator);
	int rounds = 0;
	if (!path)
		return 0;
	for (int samples = 0; samples < ast_format_rate(&translator->dst_format) && rounds < 1000; rounds++) {
		struct ast_frame *frame = translator->sample();
		if (!frame)
			abort();
		frame_in(path, frame);
		ast_frame_free(frame, 1);
		while ((frame = translator->frameout(path))) {
			samples += frame->samples;
			ast_frame_free(frame, 1);
		}
	}
	host_path_end(path);
	return rounds < 1000;
}

int __ast_register_translator(struct ast_translator *t, struct ast_module *module)
{
	t->module = module;
	t->active = 1;
	if (!module || t->buf_size <= 0 || *link_to(t) || !is_whole(t))
		return -1;
	t->list.next = translators;
	translators = t;
	return 0;
}

int ast_unregister_translator(struct ast_translator *t)
{
	struct ast_translator **link = link_to(t);
	if (!*link)
		return -1;
	*link = t->list.next;
	return 0;
}

void ast_translator_activate(struct ast_translator *t)
{
	t->active = 1;
}

void ast_translator_deactivate(struct ast_translator *t)
{
	t->active = 0;
}

struct ast_frame *ast_trans_frameout(struct ast_trans_pvt *pvt, int datalen, int samples)
{
	struct ast_frame *frame = &pvt->f;
	if (!samples || !datalen)
		abort();
	frame->frametype = AST_FRAME_VOICE;
	frame->subclass.format = pvt->t->dst_format;
	frame->samples = samples;
	frame->datalen = datalen;
	frame->offset = AST_FRIENDLY_OFFSET;
	frame->src = pvt->t->name;
	frame->data.ptr = pvt->outbuf.c;
	return ast_frisolate(frame);
}

struct ast_trans_pvt *host_path_begin(int from, int to)
{
	for (struct ast_translator *t = translators; t; t = t->list.next)
		if (t->active && (int) t->src_format.id == from && (int) t->dst_format.id == to)
			return begin(t);
	return NULL;
}

void host_path_end(struct ast_trans_pvt *path)
{
	struct ast_translator *translator = path->t;
	translator->destroy(path);
	free(path);
	ast_module_unref(translator->module);
}

static struct timeval after(struct timeval time, int samples, int rate)
{
	struct timeval length = { samples / rate, samples % rate * 1000000LL / rate }, sum;
	timeradd(&time, &length, &sum);
	return sum;
}

struct ast_frame *host_path_translate(struct ast_trans_pvt *path, struct ast_frame *frame)
{
	struct ast_frame *out;
	int has_delivery = timerisset(&frame->delivery);
	if (has_delivery) {
		struct timeval jump = { 0, 0 };
		if (!timerisset(&path->nextin))
			path->nextout = frame->delivery;
		else
			timersub(&frame->delivery, &path->nextin, &jump);
		timeradd(&path->nextout, &jump, &path->nextout);
		path->nextin = after(frame->delivery, frame->samples, ast_format_rate(&frame->subclass.format));
	}
	frame_in(path, frame);
	out = path->t->frameout(path);
	if (out && has_delivery) {
		out->delivery = path->nextout;
		path->nextout = after(path->nextout, out->samples, ast_format_rate(&out->subclass.format));
	}
	return out;
}
