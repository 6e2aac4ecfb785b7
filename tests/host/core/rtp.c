/*
 * RTP instances, with the tables of the engine and of SRTP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "asterisk/astobj2.h"
#include "asterisk/logger.h"
#include "asterisk/module.h"
#include "asterisk/rtp_engine.h"
#include "asterisk/strings.h"
#include "host.h"

struct ast_srtp_res *res_srtp;
struct ast_srtp_policy_res *res_srtp_policy;

struct ast_rtp_instance {
	struct ast_rtp_engine *engine;
	void *data;
	int properties[AST_RTP_PROPERTY_MAX];
	struct ast_sockaddr local, remote, alternative;
	struct ast_rtp_codecs codecs;
	struct ast_srtp *srtp;
	int timeout, hold_timeout, keepalive;
};

static struct ast_rtp_engine *engine;
static int before_11_11;

void host_set_before_11_11(int before)
{
	before_11_11 = before;
}

int host_before_11_11(void)
{
	return before_11_11;
}

struct ast_rtp_engine *host_engine(void)
{
	return engine;
}

int ast_rtp_engine_register2(struct ast_rtp_engine *new_engine, struct ast_module *module)
{
	if (engine)
		return -1;
	new_engine->mod = module;
	engine = new_engine;
	return 0;
}

int ast_rtp_engine_unregister(struct ast_rtp_engine *old)
{
	if (engine != old)
		return -1;
	engine = NULL;
	return 0;
}

int ast_rtp_engine_register_srtp(struct ast_srtp_res *srtp_res, struct ast_srtp_policy_res *policy_res)
{
	if (res_srtp || res_srtp_policy || !srtp_res || !policy_res)
		return -1;
	res_srtp = srtp_res;
	res_srtp_policy = policy_res;
	return 0;
}

void ast_rtp_engine_unregister_srtp(void)
{
	res_srtp = NULL;
	res_srtp_policy = NULL;
}

int ast_rtp_engine_srtp_is_registered(void)
{
	return res_srtp && res_srtp_policy;
}

static void instance_destructor(void *object)
{
	struct ast_rtp_instance *instance = object;
	if (instance->data && instance->engine->destroy(instance))
		abort();
	if (instance->srtp)
		res_srtp->destroy(instance->srtp);
	ast_rtp_codecs_payloads_destroy(&instance->codecs);
	ast_module_unref(instance->engine->mod);
}

struct ast_rtp_instance *ast_rtp_instance_new(const char *engine_name, struct ast_sched_context *sched,
	const struct ast_sockaddr *sa, void *data)
{
	struct ast_sockaddr address = *sa;
	struct ast_rtp_instance *instance;
	if (!engine || (engine_name && strcmp(engine->name, engine_name)))
		return NULL;
	instance = __ao2_alloc(sizeof *instance, instance_destructor, AO2_ALLOC_OPT_LOCK_MUTEX);
	ast_module_ref(engine->mod);
	instance->engine = engine;
	instance->local = *sa;
	ast_rtp_codecs_payloads_initialize(&instance->codecs);
	if (engine->new(instance, sched, &address, data)) {
		__ao2_ref(instance, -1);
		return NULL;
	}
	return instance;
}

int ast_rtp_instance_destroy(struct ast_rtp_instance *instance)
{
	__ao2_ref(instance, -1);
	return 0;
}

void *ast_rtp_instance_get_data(struct ast_rtp_instance *instance)
{
	return instance->data;
}

void ast_rtp_instance_set_data(struct ast_rtp_instance *instance, void *data)
{
	instance->data = data;
}

int ast_rtp_instance_get_prop(struct ast_rtp_instance *instance, enum ast_rtp_property property)
{
	return instance->properties[property];
}

void ast_rtp_instance_set_prop(struct ast_rtp_instance *instance, enum ast_rtp_property property, int value)
{
	instance->properties[property] = value;
	if (instance->engine->prop_set)
		instance->engine->prop_set(instance, property, value);
}

struct ast_rtp_codecs *ast_rtp_instance_get_codecs(struct ast_rtp_instance *instance)
{
	return &instance->codecs;
}

void ast_rtp_instance_get_local_address(struct ast_rtp_instance *instance, struct ast_sockaddr *address)
{
	*address = instance->local;
}

int ast_rtp_instance_set_local_address(struct ast_rtp_instance *instance, const struct ast_sockaddr *address)
{
	instance->local = *address;
	return 0;
}

void ast_rtp_instance_get_remote_address(struct ast_rtp_instance *instance, struct ast_sockaddr *address)
{
	*address = instance->remote;
}

int ast_rtp_instance_set_remote_address(struct ast_rtp_instance *instance, const struct ast_sockaddr *address)
{
	instance->remote = *address;
	if (instance->engine->remote_address_set)
		instance->engine->remote_address_set(instance, &instance->remote);
	return 0;
}

struct ast_rtp_instance *ast_rtp_instance_get_bridged(struct ast_rtp_instance *instance)
{
	(void) instance;
	return NULL;
}

struct ast_srtp *ast_rtp_instance_get_srtp(struct ast_rtp_instance *instance)
{
	return instance->srtp;
}

int ast_rtp_instance_add_srtp_policy(struct ast_rtp_instance *instance, struct ast_srtp_policy *remote_policy,
	struct ast_srtp_policy *local_policy)
{
	int failed;
	if (!res_srtp)
		return -1;
	failed = (instance->srtp ? res_srtp->replace : res_srtp->create)(&instance->srtp, instance, remote_policy);
	return failed ? failed : res_srtp->add_stream(instance->srtp, local_policy);
}

int ast_rtp_instance_get_stats(struct ast_rtp_instance *instance, struct ast_rtp_instance_stats *stats,
	enum ast_rtp_instance_stat stat)
{
	return instance->engine->get_stat ? instance->engine->get_stat(instance, stats, stat) : -1;
}

int ast_rtp_instance_activate(struct ast_rtp_instance *instance)
{
	return instance->engine->activate ? instance->engine->activate(instance) : 0;
}

void ast_rtp_instance_stop(struct ast_rtp_instance *instance)
{
	if (instance->engine->stop)
		instance->engine->stop(instance);
}

int ast_rtp_instance_fd(struct ast_rtp_instance *instance, int rtcp)
{
	return instance->engine->fd ? instance->engine->fd(instance, rtcp) : -1;
}

struct ast_frame *ast_rtp_instance_read(struct ast_rtp_instance *instance, int rtcp)
{
	return instance->engine->read(instance, rtcp);
}

int ast_rtp_instance_write(struct ast_rtp_instance *instance, struct ast_frame *frame)
{
	return instance->engine->write(instance, frame);
}

int ast_rtp_instance_dtmf_begin(struct ast_rtp_instance *instance, char digit)
{
	return instance->engine->dtmf_begin ? instance->engine->dtmf_begin(instance, digit) : -1;
}

int ast_rtp_instance_dtmf_end(struct ast_rtp_instance *instance, char digit)
{
	return instance->engine->dtmf_end ? instance->engine->dtmf_end(instance, digit) : -1;
}

int ast_rtp_instance_dtmf_end_with_duration(struct ast_rtp_instance *instance, char digit, unsigned int duration)
{
	return instance->engine->dtmf_end_with_duration
		? instance->engine->dtmf_end_with_duration(instance, digit, duration) : -1;
}

int ast_rtp_instance_dtmf_mode_set(struct ast_rtp_instance *instance, enum ast_rtp_dtmf_mode dtmf_mode)
{
	return instance->engine->dtmf_mode_set ? instance->engine->dtmf_mode_set(instance, dtmf_mode) : -1;
}

void ast_rtp_instance_update_source(struct ast_rtp_instance *instance)
{
	if (instance->engine->update_source)
		instance->engine->update_source(instance);
}

void ast_rtp_instance_change_source(struct ast_rtp_instance *instance)
{
	if (instance->engine->change_source)
		instance->engine->change_source(instance);
}

int ast_rtp_instance_set_qos(struct ast_rtp_instance *instance, int tos, int cos, const char *desc)
{
	return instance->engine->qos ? instance->engine->qos(instance, tos, cos, desc) : -1;
}

int ast_rtp_instance_sendcng(struct ast_rtp_instance *instance, int level)
{
	return instance->engine->sendcng ? instance->engine->sendcng(instance, level) : -1;
}

void ast_rtp_instance_set_timeout(struct ast_rtp_instance *instance, int timeout)
{
	instance->timeout = timeout;
}

int ast_rtp_instance_get_timeout(struct ast_rtp_instance *instance)
{
	return instance->timeout;
}

int ast_rtp_instance_get_hold_timeout(struct ast_rtp_instance *instance)
{
	return instance->hold_timeout;
}

int ast_rtp_instance_get_keepalive(struct ast_rtp_instance *instance)
{
	return instance->keepalive;
}

struct ast_rtp_engine_ice *ast_rtp_instance_get_ice(struct ast_rtp_instance *instance)
{
	return instance->engine->ice;
}

struct ast_rtp_engine_dtls *ast_rtp_instance_get_dtls(struct ast_rtp_instance *instance)
{
	return instance->engine->dtls;
}

struct ast_rtp_engine *ast_rtp_instance_get_engine(struct ast_rtp_instance *instance)
{
	return instance->engine;
}

int ast_rtp_red_init(struct ast_rtp_instance *instance, int buffer_time, int *payloads, int generations)
{
	return instance->engine->red_init(instance, buffer_time, payloads, generations);
}

int ast_rtp_red_buffer(struct ast_rtp_instance *instance, struct ast_frame *frame)
{
	return instance->engine->red_buffer(instance, frame);
}

const char *host_dtls_fingerprint(struct ast_rtp_instance *instance)
{
	if (before_11_11) {
		const struct ast_rtp_engine_dtls_before_11_11 *old = (void *) instance->engine->dtls;
		return old->get_fingerprint(instance, AST_RTP_DTLS_HASH_SHA1_BEFORE_11_11);
	}
	return instance->engine->dtls->get_fingerprint(instance);
}

/* The payload types of RFC 3551 and the host's dynamic ones, used until SDP changes them. */
static const struct mapping {
	int payload;
	enum ast_format_id format;
	int code;
	const char *mime;
	unsigned int rate;
} mappings[] = {
	{ 0, AST_FORMAT_ULAW, 0, "PCMU", 8000 },
	{ 2, AST_FORMAT_G726, 0, "G726-32", 8000 },
	{ 3, AST_FORMAT_GSM, 0, "GSM", 8000 },
	{ 8, AST_FORMAT_ALAW, 0, "PCMA", 8000 },
	{ 9, AST_FORMAT_G722, 0, "G722", 8000 },
	{ 10, AST_FORMAT_SLINEAR, 0, "L16", 8000 },
	{ 13, 0, AST_RTP_CN, "CN", 8000 },
	{ 18, AST_FORMAT_G729A, 0, "G729", 8000 },
	{ 99, AST_FORMAT_H264, 0, "H264", 90000 },
	{ 101, 0, AST_RTP_DTMF, "telephone-event", 8000 },
	{ 105, AST_FORMAT_T140RED, 0, "RED", 1000 },
	{ 116, AST_FORMAT_G719, 0, "G719", 48000 },
	{ 106, AST_FORMAT_T140, 0, "T140", 1000 },
};
#define MAPPINGS (sizeof mappings / sizeof *mappings)

static struct ast_rtp_payload_type payload_type(const struct mapping *mapping, int payload)
{
	struct ast_rtp_payload_type type = { .payload = payload, .rtp_code = mapping->code };
	type.asterisk_format = mapping->format != 0;
	if (mapping->format)
		ast_format_set(&type.format, mapping->format, 0);
	return type;
}

int ast_rtp_codecs_payloads_initialize(struct ast_rtp_codecs *codecs)
{
	memset(codecs, 0, sizeof *codecs);
	codecs->payloads = __ao2_container_alloc(AO2_ALLOC_OPT_LOCK_MUTEX, 1, NULL, NULL);
	return codecs->payloads ? 0 : -1;
}

void ast_rtp_codecs_payloads_destroy(struct ast_rtp_codecs *codecs)
{
	__ao2_cleanup(codecs->payloads);
	codecs->payloads = NULL;
}

static int has_payload(void *object, void *arg, int flags)
{
	(void) flags;
	return ((struct ast_rtp_payload_type *) object)->payload == *(int *) arg ? CMP_MATCH | CMP_STOP : 0;
}

int ast_rtp_codecs_payloads_set_rtpmap_type_rate(struct ast_rtp_codecs *codecs, struct ast_rtp_instance *instance,
	int pt, char *mimetype, char *mimesubtype, enum ast_rtp_options options, unsigned int sample_rate)
{
	(void) mimetype, (void) options;
	for (size_t i = 0; i < MAPPINGS; i++) {
		struct ast_rtp_payload_type *type;
		if (strcasecmp(mappings[i].mime, mimesubtype) || (sample_rate && mappings[i].rate != sample_rate))
			continue;
		__ao2_callback(codecs->payloads, OBJ_UNLINK | OBJ_NODATA, has_payload, &pt);
		type = __ao2_alloc(sizeof *type, NULL, AO2_ALLOC_OPT_LOCK_NOLOCK);
		*type = payload_type(&mappings[i], pt);
		__ao2_link(codecs->payloads, type, 0);
		if (instance && instance->engine->payload_set)
			instance->engine->payload_set(instance, pt, type->asterisk_format, &type->format, type->rtp_code);
		__ao2_ref(type, -1);
		return 0;
	}
	return -1;
}

struct ast_rtp_payload_type ast_rtp_codecs_payload_lookup(struct ast_rtp_codecs *codecs, int payload)
{
	struct ast_rtp_payload_type result = { 0 }, *known;
	known = __ao2_callback(codecs->payloads, 0, has_payload, &payload);
	if (known) {
		result = *known;
		__ao2_ref(known, -1);
		return result;
	}
	for (size_t i = 0; i < MAPPINGS; i++)
		if (mappings[i].payload == payload)
			return payload_type(&mappings[i], payload);
	return result;
}

static int same_meaning(void *object, void *arg, int flags)
{
	const struct ast_rtp_payload_type *type = object, *wanted = arg;
	(void) flags;
	if (type->asterisk_format != wanted->asterisk_format)
		return 0;
	if (type->asterisk_format ? type->format.id == wanted->format.id : type->rtp_code == wanted->rtp_code)
		return CMP_MATCH | CMP_STOP;
	return 0;
}

int ast_rtp_codecs_payload_code(struct ast_rtp_codecs *codecs, int asterisk_format, const struct ast_format *format,
	int code)
{
	struct ast_rtp_payload_type wanted = { .asterisk_format = !!asterisk_format, .rtp_code = code }, *known;
	if (asterisk_format)
		wanted.format = *format;
	/* Before 11.9 the code of what is no format was taken for a number. */
	known = before_11_11 && !asterisk_format
		? __ao2_callback(codecs->payloads, 0, has_payload, &code)
		: __ao2_callback(codecs->payloads, 0, same_meaning, &wanted);
	if (known) {
		int payload = known->payload;
		__ao2_ref(known, -1);
		return payload;
	}
	for (size_t i = 0; i < MAPPINGS; i++) {
		struct ast_rtp_payload_type type = payload_type(&mappings[i], mappings[i].payload);
		if (same_meaning(&type, &wanted, 0))
			return mappings[i].payload;
	}
	return -1;
}

int ast_rtp_codecs_find_payload_code(struct ast_rtp_codecs *codecs, int code)
{
	struct ast_rtp_payload_type *known = __ao2_callback(codecs->payloads, 0, has_payload, &code);
	int payload = known ? known->payload : -1;
	__ao2_cleanup(known);
	return payload;
}

const char *ast_rtp_lookup_mime_subtype2(const int asterisk_format, struct ast_format *format, int code,
	enum ast_rtp_options options)
{
	(void) options;
	for (size_t i = 0; i < MAPPINGS; i++)
		if (asterisk_format ? mappings[i].format == format->id : mappings[i].code == code)
			return mappings[i].mime;
	return "";
}

unsigned int ast_rtp_lookup_sample_rate2(int asterisk_format, struct ast_format *format, int code)
{
	for (size_t i = 0; i < MAPPINGS; i++)
		if (asterisk_format ? mappings[i].format == format->id : mappings[i].code == code)
			return mappings[i].rate;
	return 0;
}

/* Parses only the option that distinguishes the layouts; the tests set the others themselves. */
int ast_rtp_dtls_cfg_parse(struct ast_rtp_dtls_cfg *dtls_cfg, const char *name, const char *value)
{
	if (strcasecmp(name, "dtlsverify"))
		return -1;
	if (before_11_11) {
		((struct ast_rtp_dtls_cfg_before_11_11 *) dtls_cfg)->verify = ast_true(value) ? 1 : 0;
		return 0;
	}
	if (!strcasecmp(value, "fingerprint"))
		dtls_cfg->verify = AST_RTP_DTLS_VERIFY_FINGERPRINT;
	else if (!strcasecmp(value, "certificate"))
		dtls_cfg->verify = AST_RTP_DTLS_VERIFY_CERTIFICATE;
	else if (ast_true(value))
		dtls_cfg->verify = AST_RTP_DTLS_VERIFY_FINGERPRINT | AST_RTP_DTLS_VERIFY_CERTIFICATE;
	else
		dtls_cfg->verify = AST_RTP_DTLS_VERIFY_NONE;
	return 0;
}
