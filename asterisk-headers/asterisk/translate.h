/*
 * Translators: each converts frames of one format into those of another. The core chains them to paths.
 */
#ifndef ASTERISK_HEADERS_TRANSLATE_H
#define ASTERISK_HEADERS_TRANSLATE_H

#include <stdint.h>
#include <sys/time.h>
#include "asterisk.h"
#include "asterisk/format.h"
#include "asterisk/frame.h"

struct ast_module;
struct ast_trans_pvt;
typedef struct plc_state_t plc_state_t;

/** One direction. It stays where it is while it is registered. */
struct ast_translator {
	char name[80];
	struct ast_format src_format;
	struct ast_format dst_format;
	int table_cost; /**< Decides which path is chosen; if zero, the core sets it from the rates of the two formats. */
	int comp_cost; /**< microseconds for a second of sound, measured by the core; decides between equal translators */
	int (*newpvt)(struct ast_trans_pvt *); /**< Fills in a path's state; not 0 is a failure, after which the state is freed. */
	int (*framein)(struct ast_trans_pvt *, struct ast_frame *);
	/** Returns a frame for the caller to free, or NULL when there is none yet. */
	struct ast_frame *(*frameout)(struct ast_trans_pvt *);
	void (*destroy)(struct ast_trans_pvt *);
	struct ast_frame *(*sample)(void); /**< Makes a frame to measure with, which the core frees. */
	int buffer_samples; /**< capacity that the core checks before `framein`; 0 for no check */
	int buf_size; /**< size of `outbuf` in bytes, at least 1 */
	int desc_size; /**< size of what `pvt` points to in bytes */
	int native_plc; /**< not 0 if `framein` conceals the loss that an empty frame stands for */
	struct ast_module *module;
	int active;
	int src_fmt_index;
	int dst_fmt_index;
	struct { struct ast_translator *next; } list;
};

/** The state of a translator in one path. The core allocates it zeroed, and counts it as a use of the module. */
struct ast_trans_pvt {
	struct ast_translator *t;
	struct ast_frame f; /**< The frame that goes out. Before `framein` the core copies timing information into it. */
	struct ast_format explicit_dst;
	int samples; /**< Older cores warn each time that `framein` leaves it as it was. */
	int datalen;
	void *pvt;
	union {
		char *c;
		unsigned char *uc;
		int16_t *i16;
		uint8_t *ui8;
	} outbuf;
	plc_state_t *plc;
	struct ast_trans_pvt *next;
	struct timeval nextin; /**< of the first in a path: the delivery time that the next frame should have */
	struct timeval nextout; /**< of the first in a path: the delivery time of the next frame that goes out */
};

/**
 * Makes the frame that goes out, of what is in `outbuf`. With a `datalen` or `samples` of 0 it takes the numbers of the state
 * and sets them to 0; it returns NULL if there are no samples.
 */
struct ast_frame *ast_trans_frameout(struct ast_trans_pvt *pvt, int datalen, int samples);
/** Measures the cost of the translator, by which it runs, and makes it available to new paths. */
int __ast_register_translator(struct ast_translator *t, struct ast_module *module);
/** Ends its use in new paths; those that exist go on. */
int ast_unregister_translator(struct ast_translator *t);
/** Makes a registered translator available to new paths, or ends that. */
void ast_translator_activate(struct ast_translator *t);
void ast_translator_deactivate(struct ast_translator *t);

#endif
