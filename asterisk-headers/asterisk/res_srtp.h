/*
 * The interface between the core and SRTP: two tables of functions that the SRTP module registers.
 */
#ifndef ASTERISK_HEADERS_RES_SRTP_H
#define ASTERISK_HEADERS_RES_SRTP_H

#include "asterisk.h"

struct ast_rtp_instance;
struct ast_srtp;
struct ast_srtp_policy;

/** Crypto suites (RFC 4568 §6.2, RFC 5764 §4.1.2). */
enum ast_srtp_suite {
	AST_AES_CM_128_HMAC_SHA1_80 = 1,
	AST_AES_CM_128_HMAC_SHA1_32 = 2,
	AST_F8_128_HMAC_SHA1_80 = 3,
};

struct ast_srtp_cb {
	/** Called for a packet whose SSRC has no policy, to add one; a negative result refuses the packet. */
	int (*no_ctx)(struct ast_rtp_instance *, unsigned long, void *);
};

struct ast_srtp_res {
	/** Returns -1 on failure, as do all functions here that return an int. */
	int (*create)(struct ast_srtp **, struct ast_rtp_instance *, struct ast_srtp_policy *);
	/** Replaces the session by a new one. */
	int (*replace)(struct ast_srtp **, struct ast_rtp_instance *, struct ast_srtp_policy *);
	void (*destroy)(struct ast_srtp *);
	int (*add_stream)(struct ast_srtp *, struct ast_srtp_policy *);
	int (*change_source)(struct ast_srtp *, unsigned int, unsigned int);
	void (*set_cb)(struct ast_srtp *, const struct ast_srtp_cb *, void *);
	/** Decrypts in place and reduces the length. -1 with errno EAGAIN refuses the packet without ending the call. */
	int (*unprotect)(struct ast_srtp *, void *, int *, int);
	/** Encrypts into a buffer that is valid until the next call. */
	int (*protect)(struct ast_srtp *, void **, int *, int);
	int (*get_random)(unsigned char *, size_t);
};

struct ast_srtp_policy_res {
	struct ast_srtp_policy *(*alloc)(void);
	void (*destroy)(struct ast_srtp_policy *);
	int (*set_suite)(struct ast_srtp_policy *, enum ast_srtp_suite);
	int (*set_master_key)(struct ast_srtp_policy *, const unsigned char *, size_t, const unsigned char *, size_t);
	/** Selects all received streams if `inbound` is set, otherwise the one with this SSRC. */
	void (*set_ssrc)(struct ast_srtp_policy *, unsigned long, int);
};

/* The registered tables, NULL while there are none. They come and go, so they must be read at each use. */
extern struct ast_srtp_res *res_srtp;
extern struct ast_srtp_policy_res *res_srtp_policy;

#endif
