/*
 * The interface between the core and RTP engines: the core has an instance for each stream, an engine does the work.
 *
 * The interface for DTLS and ICE changed in 11.11.0 (and certified 11.6-cert5). The newer layout has the plain name, the
 * older one a suffix. ast_rtp_dtls_cfg_parse tells at run time which layout a core has.
 */
#ifndef ASTERISK_HEADERS_RTP_ENGINE_H
#define ASTERISK_HEADERS_RTP_ENGINE_H

#include "asterisk.h"
#include "asterisk/astobj2.h"
#include "asterisk/channel.h"
#include "asterisk/format_cap.h"
#include "asterisk/format_pref.h"
#include "asterisk/frame.h"
#include "asterisk/netsock2.h"
#include "asterisk/res_srtp.h"

struct ast_rtp_instance;

#define AST_RTP_DTMF 1 /**< telephone-event (RFC 4733), which is no format */
#define AST_RTP_CN 2 /**< comfort noise (RFC 3389), which is no format */
#define AST_RTP_CISCO_DTMF 4
#define AST_RTP_MAX 4
#define AST_RTP_MAX_PT 196
#define AST_RED_MAX_GENERATION 5

enum ast_rtp_options {
	AST_RTP_OPT_G726_NONSTANDARD = 1,
};

enum ast_rtp_property {
	AST_RTP_PROPERTY_NAT = 0, /**< send to the address that media comes from */
	AST_RTP_PROPERTY_DTMF = 1, /**< telephone-event is used */
	AST_RTP_PROPERTY_DTMF_COMPENSATE = 2,
	AST_RTP_PROPERTY_STUN = 3, /**< STUN keepalives */
	AST_RTP_PROPERTY_RTCP = 4,
	AST_RTP_PROPERTY_MAX = 5, /**< the number of properties */
};

enum ast_rtp_dtmf_mode {
	AST_RTP_DTMF_MODE_NONE = 0,
	AST_RTP_DTMF_MODE_RFC2833 = 1,
	AST_RTP_DTMF_MODE_INBAND = 2,
};

enum ast_rtp_glue_result {
	AST_RTP_GLUE_RESULT_FORBID = 0,
	AST_RTP_GLUE_RESULT_REMOTE = 1,
	AST_RTP_GLUE_RESULT_LOCAL = 2,
};

struct ast_rtp_payload_type {
	int asterisk_format; /**< 1: `format` is valid, 0: `rtp_code` is */
	struct ast_format format;
	int rtp_code; /**< AST_RTP_DTMF or a similar code */
	int payload; /**< RTP payload type */
};

/** The payload types of an instance, from SDP. */
struct ast_rtp_codecs {
	struct ao2_container *payloads;
	struct ast_codec_pref pref;
};

/** The values to fill in: ALL, one of the COMBINED groups, or a single one. */
enum ast_rtp_instance_stat {
	AST_RTP_INSTANCE_STAT_ALL = 0,
	AST_RTP_INSTANCE_STAT_TXCOUNT = 1,
	AST_RTP_INSTANCE_STAT_RXCOUNT = 2,
	AST_RTP_INSTANCE_STAT_COMBINED_LOSS = 3,
	AST_RTP_INSTANCE_STAT_TXPLOSS = 4,
	AST_RTP_INSTANCE_STAT_RXPLOSS = 5,
	AST_RTP_INSTANCE_STAT_REMOTE_MAXRXPLOSS = 6,
	AST_RTP_INSTANCE_STAT_REMOTE_MINRXPLOSS = 7,
	AST_RTP_INSTANCE_STAT_REMOTE_NORMDEVRXPLOSS = 8,
	AST_RTP_INSTANCE_STAT_REMOTE_STDEVRXPLOSS = 9,
	AST_RTP_INSTANCE_STAT_LOCAL_MAXRXPLOSS = 10,
	AST_RTP_INSTANCE_STAT_LOCAL_MINRXPLOSS = 11,
	AST_RTP_INSTANCE_STAT_LOCAL_NORMDEVRXPLOSS = 12,
	AST_RTP_INSTANCE_STAT_LOCAL_STDEVRXPLOSS = 13,
	AST_RTP_INSTANCE_STAT_COMBINED_JITTER = 14,
	AST_RTP_INSTANCE_STAT_TXJITTER = 15,
	AST_RTP_INSTANCE_STAT_RXJITTER = 16,
	AST_RTP_INSTANCE_STAT_REMOTE_MAXJITTER = 17,
	AST_RTP_INSTANCE_STAT_REMOTE_MINJITTER = 18,
	AST_RTP_INSTANCE_STAT_REMOTE_NORMDEVJITTER = 19,
	AST_RTP_INSTANCE_STAT_REMOTE_STDEVJITTER = 20,
	AST_RTP_INSTANCE_STAT_LOCAL_MAXJITTER = 21,
	AST_RTP_INSTANCE_STAT_LOCAL_MINJITTER = 22,
	AST_RTP_INSTANCE_STAT_LOCAL_NORMDEVJITTER = 23,
	AST_RTP_INSTANCE_STAT_LOCAL_STDEVJITTER = 24,
	AST_RTP_INSTANCE_STAT_COMBINED_RTT = 25,
	AST_RTP_INSTANCE_STAT_RTT = 26,
	AST_RTP_INSTANCE_STAT_MAX_RTT = 27,
	AST_RTP_INSTANCE_STAT_MIN_RTT = 28,
	AST_RTP_INSTANCE_STAT_NORMDEVRTT = 29,
	AST_RTP_INSTANCE_STAT_STDEVRTT = 30,
	AST_RTP_INSTANCE_STAT_LOCAL_SSRC = 31,
	AST_RTP_INSTANCE_STAT_REMOTE_SSRC = 32,
};

struct ast_rtp_instance_stats {
	unsigned int txcount;
	unsigned int rxcount;
	double txjitter;
	double rxjitter;
	double remote_maxjitter;
	double remote_minjitter;
	double remote_normdevjitter;
	double remote_stdevjitter;
	double local_maxjitter;
	double local_minjitter;
	double local_normdevjitter;
	double local_stdevjitter;
	unsigned int txploss;
	unsigned int rxploss;
	double remote_maxrxploss;
	double remote_minrxploss;
	double remote_normdevrxploss;
	double remote_stdevrxploss;
	double local_maxrxploss;
	double local_minrxploss;
	double local_normdevrxploss;
	double local_stdevrxploss;
	double rtt;
	double maxrtt;
	double minrtt;
	double normdevrtt;
	double stdevrtt;
	unsigned int local_ssrc;
	unsigned int remote_ssrc;
};

enum ast_rtp_instance_stat_field {
	AST_RTP_INSTANCE_STAT_FIELD_QUALITY = 0,
	AST_RTP_INSTANCE_STAT_FIELD_QUALITY_JITTER = 1,
	AST_RTP_INSTANCE_STAT_FIELD_QUALITY_LOSS = 2,
	AST_RTP_INSTANCE_STAT_FIELD_QUALITY_RTT = 3,
};

/* ICE (RFC 5245). */
enum ast_rtp_ice_candidate_type {
	AST_RTP_ICE_CANDIDATE_TYPE_HOST = 0,
	AST_RTP_ICE_CANDIDATE_TYPE_SRFLX = 1,
	AST_RTP_ICE_CANDIDATE_TYPE_RELAYED = 2,
};

enum ast_rtp_ice_component_type {
	AST_RTP_ICE_COMPONENT_RTP = 1,
	AST_RTP_ICE_COMPONENT_RTCP = 2,
};

enum ast_rtp_ice_role {
	AST_RTP_ICE_ROLE_CONTROLLED = 0,
	AST_RTP_ICE_ROLE_CONTROLLING = 1,
};

struct ast_rtp_engine_ice_candidate {
	char *foundation;
	enum ast_rtp_ice_component_type id;
	char *transport; /**< "udp" */
	int priority; /**< the unsigned 32 bits of RFC 5245 §4.1.2, stored in an int */
	struct ast_sockaddr address;
	struct ast_sockaddr relay_address; /**< the related address */
	enum ast_rtp_ice_candidate_type type;
};

/** Also used by cores before 11.11.0, which read all but the last member. */
struct ast_rtp_engine_ice {
	/** Sets the peer's ufrag and password. They may come one at a time; the other one is NULL. */
	void (*set_authentication)(struct ast_rtp_instance *, const char *, const char *);
	void (*add_remote_candidate)(struct ast_rtp_instance *, const struct ast_rtp_engine_ice_candidate *);
	void (*start)(struct ast_rtp_instance *);
	void (*stop)(struct ast_rtp_instance *);
	const char *(*get_ufrag)(struct ast_rtp_instance *);
	const char *(*get_password)(struct ast_rtp_instance *);
	/** Returns a container of struct ast_rtp_engine_ice_candidate; the caller owns the reference. */
	struct ao2_container *(*get_local_candidates)(struct ast_rtp_instance *);
	void (*ice_lite)(struct ast_rtp_instance *);
	/** Required: since 11.11.0 it is called before every start. */
	void (*set_role)(struct ast_rtp_instance *, enum ast_rtp_ice_role);
};

/* DTLS-SRTP (RFC 5763). */
enum ast_rtp_dtls_setup {
	AST_RTP_DTLS_SETUP_ACTIVE = 0,
	AST_RTP_DTLS_SETUP_PASSIVE = 1,
	AST_RTP_DTLS_SETUP_ACTPASS = 2,
	AST_RTP_DTLS_SETUP_HOLDCONN = 3,
};

enum ast_rtp_dtls_connection {
	AST_RTP_DTLS_CONNECTION_NEW = 0,
	AST_RTP_DTLS_CONNECTION_EXISTING = 1,
};

/** In cores before 11.11.0, SHA1 is 0 and SHA256 does not exist. */
enum ast_rtp_dtls_hash {
	AST_RTP_DTLS_HASH_SHA256 = 0,
	AST_RTP_DTLS_HASH_SHA1 = 1,
};

enum ast_rtp_dtls_verify {
	AST_RTP_DTLS_VERIFY_NONE = 0,
	AST_RTP_DTLS_VERIFY_FINGERPRINT = 1,
	AST_RTP_DTLS_VERIFY_CERTIFICATE = 2,
};

/** The value of AST_RTP_DTLS_HASH_SHA1 in cores before 11.11.0. */
#define AST_RTP_DTLS_HASH_SHA1_BEFORE_11_11 0

struct ast_rtp_dtls_cfg {
	unsigned int enabled:1;
	unsigned int rekey; /**< interval of new handshakes in seconds, 0 for none */
	enum ast_rtp_dtls_setup default_setup;
	enum ast_srtp_suite suite;
	enum ast_rtp_dtls_hash hash; /**< hash function of our fingerprint */
	/** flags of enum ast_rtp_dtls_verify; "yes" sets both */
	enum ast_rtp_dtls_verify verify;
	char *certfile;
	char *pvtfile;
	char *cipher;
	char *cafile;
	char *capath;
};

/** The layout of ast_rtp_dtls_cfg in cores before 11.11.0. */
struct ast_rtp_dtls_cfg_before_11_11 {
	unsigned int enabled:1;
	unsigned int verify:1;
	unsigned int rekey;
	enum ast_rtp_dtls_setup default_setup;
	enum ast_srtp_suite suite;
	char *certfile;
	char *pvtfile;
	char *cipher;
	char *cafile;
	char *capath;
};

struct ast_rtp_engine_dtls {
	int (*set_configuration)(struct ast_rtp_instance *, const struct ast_rtp_dtls_cfg *);
	int (*active)(struct ast_rtp_instance *); /**< returns 1 if DTLS is configured */
	void (*stop)(struct ast_rtp_instance *);
	void (*reset)(struct ast_rtp_instance *);
	enum ast_rtp_dtls_connection (*get_connection)(struct ast_rtp_instance *); /**< for a=connection in our SDP */
	enum ast_rtp_dtls_setup (*get_setup)(struct ast_rtp_instance *);
	void (*set_setup)(struct ast_rtp_instance *, enum ast_rtp_dtls_setup);
	/** Sets the peer's fingerprint. */
	void (*set_fingerprint)(struct ast_rtp_instance *, enum ast_rtp_dtls_hash, const char *);
	enum ast_rtp_dtls_hash (*get_fingerprint_hash)(struct ast_rtp_instance *);
	const char *(*get_fingerprint)(struct ast_rtp_instance *); /**< returns our fingerprint */
};

/** The layout of ast_rtp_engine_dtls in cores before 11.11.0. */
struct ast_rtp_engine_dtls_before_11_11 {
	int (*set_configuration)(struct ast_rtp_instance *, const struct ast_rtp_dtls_cfg_before_11_11 *);
	int (*active)(struct ast_rtp_instance *);
	void (*stop)(struct ast_rtp_instance *);
	void (*reset)(struct ast_rtp_instance *);
	enum ast_rtp_dtls_connection (*get_connection)(struct ast_rtp_instance *);
	enum ast_rtp_dtls_setup (*get_setup)(struct ast_rtp_instance *);
	void (*set_setup)(struct ast_rtp_instance *, enum ast_rtp_dtls_setup);
	void (*set_fingerprint)(struct ast_rtp_instance *, enum ast_rtp_dtls_hash, const char *);
	/** Only called with hash 0. */
	const char *(*get_fingerprint)(struct ast_rtp_instance *, enum ast_rtp_dtls_hash);
};

/** Functions that return an int return 0 for success and -1 for failure. */
struct ast_rtp_engine {
	const char *name;
	struct ast_module *mod; /**< set by ast_rtp_engine_register2 */
	int (*new)(struct ast_rtp_instance *, struct ast_sched_context *, struct ast_sockaddr *, void *);
	/** Called by the last ast_rtp_instance_destroy, on any thread. */
	int (*destroy)(struct ast_rtp_instance *);
	int (*write)(struct ast_rtp_instance *, struct ast_frame *);
	void (*stop)(struct ast_rtp_instance *);
	int (*dtmf_begin)(struct ast_rtp_instance *, char);
	int (*dtmf_end)(struct ast_rtp_instance *, char);
	/** The duration is in milliseconds. */
	int (*dtmf_end_with_duration)(struct ast_rtp_instance *, char, unsigned int);
	void (*update_source)(struct ast_rtp_instance *);
	void (*change_source)(struct ast_rtp_instance *);
	int (*extended_prop_set)(struct ast_rtp_instance *, int, void *);
	void *(*extended_prop_get)(struct ast_rtp_instance *, int);
	void (*prop_set)(struct ast_rtp_instance *, enum ast_rtp_property, int);
	void (*payload_set)(struct ast_rtp_instance *, int, int, struct ast_format *, int);
	void (*packetization_set)(struct ast_rtp_instance *, struct ast_codec_pref *);
	void (*remote_address_set)(struct ast_rtp_instance *, struct ast_sockaddr *);
	void (*alt_remote_address_set)(struct ast_rtp_instance *, struct ast_sockaddr *);
	int (*dtmf_mode_set)(struct ast_rtp_instance *, enum ast_rtp_dtmf_mode);
	enum ast_rtp_dtmf_mode (*dtmf_mode_get)(struct ast_rtp_instance *);
	int (*get_stat)(struct ast_rtp_instance *, struct ast_rtp_instance_stats *, enum ast_rtp_instance_stat);
	int (*qos)(struct ast_rtp_instance *, int, int, const char *);
	/** For RTP if `rtcp` is 0. The channel polls the descriptor, so it stays the same as long as the instance lives. */
	int (*fd)(struct ast_rtp_instance *, int);
	int (*red_init)(struct ast_rtp_instance *, int, int *, int);
	int (*red_buffer)(struct ast_rtp_instance *, struct ast_frame *);
	/** Returns one frame or a list of frames. NULL would end the call. */
	struct ast_frame *(*read)(struct ast_rtp_instance *, int);
	int (*local_bridge)(struct ast_rtp_instance *, struct ast_rtp_instance *);
	int (*set_read_format)(struct ast_rtp_instance *, struct ast_format *);
	int (*set_write_format)(struct ast_rtp_instance *, struct ast_format *);
	int (*make_compatible)(struct ast_channel *, struct ast_rtp_instance *, struct ast_channel *, struct ast_rtp_instance *);
	int (*dtmf_compatible)(struct ast_channel *, struct ast_rtp_instance *, struct ast_channel *, struct ast_rtp_instance *);
	int (*activate)(struct ast_rtp_instance *);
	/** Sends a STUN request. Asterisk 11 does not call it for SIP. */
	void (*stun_request)(struct ast_rtp_instance *, struct ast_sockaddr *, const char *);
	void (*available_formats)(struct ast_rtp_instance *, struct ast_format_cap *, struct ast_format_cap *, struct ast_format_cap *);
	int (*sendcng)(struct ast_rtp_instance *, int);
	struct ast_rtp_engine_ice *ice;
	struct ast_rtp_engine_dtls *dtls;
	/** The core's list, while registered. */
	struct { struct ast_rtp_engine *next; } entry;
};

/** The functions that a channel driver registers, so that others can bridge its streams. */
struct ast_rtp_glue {
	const char *type;
	struct ast_module *mod;
	enum ast_rtp_glue_result (*get_rtp_info)(struct ast_channel *, struct ast_rtp_instance **);
	int (*allow_rtp_remote)(struct ast_channel *, struct ast_channel *);
	enum ast_rtp_glue_result (*get_vrtp_info)(struct ast_channel *, struct ast_rtp_instance **);
	int (*allow_vrtp_remote)(struct ast_channel *, struct ast_channel *);
	enum ast_rtp_glue_result (*get_trtp_info)(struct ast_channel *, struct ast_rtp_instance **);
	int (*update_peer)(struct ast_channel *, struct ast_rtp_instance *, struct ast_rtp_instance *, struct ast_rtp_instance *, const struct ast_format_cap *, int);
	void (*get_codec)(struct ast_channel *, struct ast_format_cap *);
	struct { struct ast_rtp_glue *next; } entry;
};

int ast_rtp_engine_register2(struct ast_rtp_engine *engine, struct ast_module *module);
int ast_rtp_engine_unregister(struct ast_rtp_engine *engine);
int ast_rtp_engine_register_srtp(struct ast_srtp_res *srtp_res, struct ast_srtp_policy_res *policy_res);
void ast_rtp_engine_unregister_srtp(void);
int ast_rtp_engine_srtp_is_registered(void);
int ast_rtp_glue_register2(struct ast_rtp_glue *glue, struct ast_module *module);
int ast_rtp_glue_unregister(struct ast_rtp_glue *glue);
struct ast_rtp_glue *ast_rtp_instance_get_glue(const char *type);

/* Functions for engines, about their instances. */
void *ast_rtp_instance_get_data(struct ast_rtp_instance *instance);
void ast_rtp_instance_set_data(struct ast_rtp_instance *instance, void *data);
int ast_rtp_instance_get_prop(struct ast_rtp_instance *instance, enum ast_rtp_property property);
void ast_rtp_instance_set_prop(struct ast_rtp_instance *instance, enum ast_rtp_property property, int value);
struct ast_rtp_codecs *ast_rtp_instance_get_codecs(struct ast_rtp_instance *instance);
void ast_rtp_instance_get_local_address(struct ast_rtp_instance *instance, struct ast_sockaddr *address);
int ast_rtp_instance_set_local_address(struct ast_rtp_instance *instance, const struct ast_sockaddr *address);
void ast_rtp_instance_get_remote_address(struct ast_rtp_instance *instance, struct ast_sockaddr *address);
int ast_rtp_instance_set_remote_address(struct ast_rtp_instance *instance, const struct ast_sockaddr *address);
struct ast_rtp_instance *ast_rtp_instance_get_bridged(struct ast_rtp_instance *instance);
struct ast_srtp *ast_rtp_instance_get_srtp(struct ast_rtp_instance *instance);
int ast_rtp_instance_get_stats(struct ast_rtp_instance *instance, struct ast_rtp_instance_stats *stats, enum
	ast_rtp_instance_stat stat);
/** Creates the SRTP session, replaces it, or adds a stream to it. */
int ast_rtp_instance_add_srtp_policy(struct ast_rtp_instance *instance, struct ast_srtp_policy *remote_policy,
	struct ast_srtp_policy *local_policy);

struct ast_rtp_payload_type ast_rtp_codecs_payload_lookup(struct ast_rtp_codecs *codecs, int payload);
int ast_rtp_codecs_payload_code(struct ast_rtp_codecs *codecs, int asterisk_format, const struct ast_format *format,
	int code);
int ast_rtp_codecs_find_payload_code(struct ast_rtp_codecs *codecs, int code);
struct ast_format *ast_rtp_codecs_get_payload_format(struct ast_rtp_codecs *codecs, int payload);
const char *ast_rtp_lookup_mime_subtype2(const int asterisk_format, struct ast_format *format, int code, enum
	ast_rtp_options options);
unsigned int ast_rtp_lookup_sample_rate2(int asterisk_format, struct ast_format *format, int code);

/* Exported by every core. It reveals the layout of the DTLS structs without allocating anything. */
int ast_rtp_dtls_cfg_parse(struct ast_rtp_dtls_cfg *dtls_cfg, const char *name, const char *value);
void ast_rtp_dtls_cfg_copy(const struct ast_rtp_dtls_cfg *src_cfg, struct ast_rtp_dtls_cfg *dst_cfg);
void ast_rtp_dtls_cfg_free(struct ast_rtp_dtls_cfg *dtls_cfg);

/* Functions for channel drivers. */
struct ast_rtp_instance *ast_rtp_instance_new(const char *engine_name, struct ast_sched_context *sched, const struct
	ast_sockaddr *sa, void *data);
int ast_rtp_instance_destroy(struct ast_rtp_instance *instance);
int ast_rtp_instance_activate(struct ast_rtp_instance *instance);
void ast_rtp_instance_stop(struct ast_rtp_instance *instance);
int ast_rtp_instance_fd(struct ast_rtp_instance *instance, int rtcp);
struct ast_frame *ast_rtp_instance_read(struct ast_rtp_instance *instance, int rtcp);
int ast_rtp_instance_write(struct ast_rtp_instance *instance, struct ast_frame *frame);
int ast_rtp_instance_dtmf_begin(struct ast_rtp_instance *instance, char digit);
int ast_rtp_instance_dtmf_end(struct ast_rtp_instance *instance, char digit);
int ast_rtp_instance_dtmf_end_with_duration(struct ast_rtp_instance *instance, char digit, unsigned int duration);
int ast_rtp_instance_dtmf_mode_set(struct ast_rtp_instance *instance, enum ast_rtp_dtmf_mode dtmf_mode);
void ast_rtp_instance_update_source(struct ast_rtp_instance *instance);
void ast_rtp_instance_change_source(struct ast_rtp_instance *instance);
int ast_rtp_instance_set_qos(struct ast_rtp_instance *instance, int tos, int cos, const char *desc);
void ast_rtp_instance_set_timeout(struct ast_rtp_instance *instance, int timeout);
int ast_rtp_instance_get_timeout(struct ast_rtp_instance *instance);
int ast_rtp_instance_sendcng(struct ast_rtp_instance *instance, int level);
struct ast_rtp_engine_ice *ast_rtp_instance_get_ice(struct ast_rtp_instance *instance);
struct ast_rtp_engine_dtls *ast_rtp_instance_get_dtls(struct ast_rtp_instance *instance);
struct ast_rtp_engine *ast_rtp_instance_get_engine(struct ast_rtp_instance *instance);
int ast_rtp_codecs_payloads_initialize(struct ast_rtp_codecs *codecs);
void ast_rtp_codecs_payloads_destroy(struct ast_rtp_codecs *codecs);
void ast_rtp_codecs_payloads_set_m_type(struct ast_rtp_codecs *codecs, struct ast_rtp_instance *instance, int
	payload);
int ast_rtp_codecs_payloads_set_rtpmap_type_rate(struct ast_rtp_codecs *codecs, struct ast_rtp_instance *instance,
	int pt, char *mimetype, char *mimesubtype, enum ast_rtp_options options, unsigned int sample_rate);
int ast_rtp_red_init(struct ast_rtp_instance *instance, int buffer_time, int *payloads, int generations);
int ast_rtp_red_buffer(struct ast_rtp_instance *instance, struct ast_frame *frame);

#endif
