/*
 * Functions for engines, about the channels that they bridge or end.
 */
#ifndef ASTERISK_HEADERS_CHANNEL_H
#define ASTERISK_HEADERS_CHANNEL_H

#include "asterisk.h"
#include "asterisk/causes.h"
#include "asterisk/frame.h"
#include "asterisk/format_cap.h"

/** The result of a bridge of two channels. */
enum ast_bridge_result {
	AST_BRIDGE_COMPLETE = 0,
	AST_BRIDGE_FAILED = -1,
	AST_BRIDGE_FAILED_NOWARN = -2,
	AST_BRIDGE_RETRY = -3, /**< the core bridges by itself, and may try again */
};

/** Reasons for a hangup, as flags. */
enum {
	AST_SOFTHANGUP_DEV = 1, /**< the channel driver wants it */
};

typedef int (*ast_cc_callback_fn)(struct ast_channel *inbound, const char *monitored_device, void *cc_params);

/** The function table of a channel driver. An engine compares the digit functions of two channels. */
struct ast_channel_tech {
	const char *const type;
	const char *const description;
	struct ast_format_cap *capabilities;
	int properties;
	struct ast_channel *(*const requester)(const char *, struct ast_format_cap *, const struct ast_channel *, const char *, int *);
	int (*const devicestate)(const char *);
	int (*const send_digit_begin)(struct ast_channel *, char);
	int (*const send_digit_end)(struct ast_channel *, char, unsigned int);
	int (*const call)(struct ast_channel *, const char *, int);
	int (*const hangup)(struct ast_channel *);
	int (*const answer)(struct ast_channel *);
	struct ast_frame *(*const read)(struct ast_channel *);
	int (*const write)(struct ast_channel *, struct ast_frame *);
	int (*const send_text)(struct ast_channel *, const char *);
	int (*const send_image)(struct ast_channel *, struct ast_frame *);
	int (*const send_html)(struct ast_channel *, int, const char *, int);
	struct ast_frame *(*const exception)(struct ast_channel *);
	enum ast_bridge_result (*const bridge)(struct ast_channel *, struct ast_channel *, int, struct ast_frame **, struct ast_channel **, int);
	enum ast_bridge_result (*const early_bridge)(struct ast_channel *, struct ast_channel *);
	int (*const indicate)(struct ast_channel *, int, const void *, size_t);
	int (*const fixup)(struct ast_channel *, struct ast_channel *);
	int (*const setoption)(struct ast_channel *, int, void *, int);
	int (*const queryoption)(struct ast_channel *, int, void *, int *);
	int (*const transfer)(struct ast_channel *, const char *);
	int (*const write_video)(struct ast_channel *, struct ast_frame *);
	int (*const write_text)(struct ast_channel *, struct ast_frame *);
	struct ast_channel *(*const bridged_channel)(struct ast_channel *, struct ast_channel *);
	int (*func_channel_read)(struct ast_channel *, const char *, char *, char *, size_t);
	int (*func_channel_write)(struct ast_channel *, const char *, char *, const char *);
	struct ast_channel *(*get_base_channel)(struct ast_channel *);
	int (*set_base_channel)(struct ast_channel *, struct ast_channel *);
	const char *(*get_pvt_uniqueid)(struct ast_channel *);
	int (*cc_callback)(struct ast_channel *, const char *, ast_cc_callback_fn);
	int (*pre_call)(struct ast_channel *, const char *);
};

const struct ast_channel_tech *ast_channel_tech(const struct ast_channel *chan);
void *ast_channel_tech_pvt(const struct ast_channel *chan);
const char *ast_channel_name(const struct ast_channel *chan);
void ast_channel_hangupcause_set(struct ast_channel *chan, int value);

/** Asks the thread of a channel to hang up. The caller holds the channel's lock. */
int ast_softhangup_nolock(struct ast_channel *chan, int reason);

/* A walk over all channels, each returned with one reference. */
struct ast_channel_iterator *ast_channel_iterator_all_new(void);
struct ast_channel *ast_channel_iterator_next(struct ast_channel_iterator *i);
struct ast_channel_iterator *ast_channel_iterator_destroy(struct ast_channel_iterator *i);

#endif
