/*
 * Frames: the units in which media, digits and control signals pass through a channel.
 */
#ifndef ASTERISK_HEADERS_FRAME_H
#define ASTERISK_HEADERS_FRAME_H

#include <sys/time.h>
#include "asterisk.h"
#include "asterisk/format.h"

enum ast_frame_type {
	AST_FRAME_DTMF_END = 1,
	AST_FRAME_VOICE = 2,
	AST_FRAME_VIDEO = 3,
	AST_FRAME_CONTROL = 4,
	AST_FRAME_NULL = 5,
	AST_FRAME_IAX = 6,
	AST_FRAME_TEXT = 7,
	AST_FRAME_IMAGE = 8,
	AST_FRAME_HTML = 9,
	AST_FRAME_CNG = 10,
	AST_FRAME_MODEM = 11,
	AST_FRAME_DTMF_BEGIN = 12,
};
#define AST_FRAME_DTMF 1

/** The subclasses of AST_FRAME_CONTROL. */
enum ast_control_frame_type {
	AST_CONTROL_HANGUP = 1,
	AST_CONTROL_RING = 2,
	AST_CONTROL_RINGING = 3,
	AST_CONTROL_ANSWER = 4,
	AST_CONTROL_BUSY = 5,
	AST_CONTROL_TAKEOFFHOOK = 6,
	AST_CONTROL_OFFHOOK = 7,
	AST_CONTROL_CONGESTION = 8,
	AST_CONTROL_FLASH = 9,
	AST_CONTROL_WINK = 10,
	AST_CONTROL_OPTION = 11,
	AST_CONTROL_RADIO_KEY = 12,
	AST_CONTROL_RADIO_UNKEY = 13,
	AST_CONTROL_PROGRESS = 14,
	AST_CONTROL_PROCEEDING = 15,
	AST_CONTROL_HOLD = 16,
	AST_CONTROL_UNHOLD = 17,
	AST_CONTROL_VIDUPDATE = 18,
	_XXX_AST_CONTROL_T38 = 19,
	AST_CONTROL_SRCUPDATE = 20,
	AST_CONTROL_TRANSFER = 21,
	AST_CONTROL_CONNECTED_LINE = 22,
	AST_CONTROL_REDIRECTING = 23,
	AST_CONTROL_T38_PARAMETERS = 24,
	AST_CONTROL_CC = 25,
	AST_CONTROL_SRCCHANGE = 26,
	AST_CONTROL_READ_ACTION = 27,
	AST_CONTROL_AOC = 28,
	AST_CONTROL_END_OF_Q = 29,
	AST_CONTROL_INCOMPLETE = 30,
	AST_CONTROL_MCID = 31,
	AST_CONTROL_UPDATE_RTP_PEER = 32,
	AST_CONTROL_PVT_CAUSE_CODE = 33,
};

/** Before 11.6.0 the value for 14400 was 5, and those for the other rates were one less. */
enum ast_control_t38_rate {
	AST_T38_RATE_2400 = 1,
	AST_T38_RATE_4800 = 2,
	AST_T38_RATE_7200 = 3,
	AST_T38_RATE_9600 = 4,
	AST_T38_RATE_12000 = 5,
	AST_T38_RATE_14400 = 0,
};

union ast_frame_subclass {
	int integer;
	struct ast_format format;
};

struct ast_frame {
	enum ast_frame_type frametype;
	/** The format of media frames; the digit, control type or noise level of others. */
	union ast_frame_subclass subclass;
	int datalen; /**< length of the data in bytes */
	int samples; /**< number of samples at the clock rate of the format */
	int mallocd; /**< AST_MALLOCD_ flags: the parts that ast_frame_free frees */
	size_t mallocd_hdr_len; /**< size of the allocated block that starts with this struct */
	int offset; /**< number of free bytes before the data */
	const char *src; /**< name of the creator, for debugging */
	union {
		void *ptr;
		uint32_t uint32;
		char pad[8];
	} data;
	struct timeval delivery; /**< time at which it is to be played, or zero */
	struct { struct ast_frame *next; } frame_list;
	unsigned int flags; /**< AST_FRFLAG_ flags */
	long ts; /**< Position in milliseconds; this and the next two are valid with AST_FRFLAG_HAS_TIMING_INFO. */
	long len; /**< duration in milliseconds */
	int seqno; /**< sequence number as received */
};

enum {
	AST_FRFLAG_HAS_TIMING_INFO = 1,
};

#define AST_MALLOCD_HDR 1
#define AST_MALLOCD_DATA 2
#define AST_MALLOCD_SRC 4
#define AST_MIN_OFFSET 32
#define AST_FRIENDLY_OFFSET 64 /**< free bytes before the data, so that headers need no copy */
#define AST_SMOOTHER_FLAG_G729 1
#define AST_SMOOTHER_FLAG_BE 2
#define AST_OPTION_RELAXDTMF 3

/** Returned when there is nothing to deliver; NULL would end the call. */
extern struct ast_frame ast_null_frame;

void ast_frame_free(struct ast_frame *fr, int cache);
struct ast_frame *ast_frdup(const struct ast_frame *fr);
/** Copies the parts of a frame that are not allocated, so that the frame owns its memory. */
struct ast_frame *ast_frisolate(struct ast_frame *fr);
int ast_codec_get_samples(struct ast_frame *f);
int ast_codec_get_len(struct ast_format *format, int samples);
void ast_swapcopy_samples(void *dst, const void *src, int samples);

struct ast_smoother;

/* The smoother, which splits and joins frames to one packet length. */
struct ast_smoother *ast_smoother_new(int bytes);
void ast_smoother_free(struct ast_smoother *s);
void ast_smoother_reset(struct ast_smoother *s, int bytes);
void ast_smoother_reconfigure(struct ast_smoother *s, int bytes);
void ast_smoother_set_flags(struct ast_smoother *smoother, int flags);
int ast_smoother_test_flag(struct ast_smoother *s, int flag);
int __ast_smoother_feed(struct ast_smoother *s, struct ast_frame *f, int swap);
struct ast_frame *ast_smoother_read(struct ast_smoother *s);

#endif
