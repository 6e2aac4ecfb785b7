/*
 * Channels: a driver's name, the instance of their audio, and whether they were asked to hang up.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "asterisk/astobj2.h"
#include "asterisk/channel.h"
#include "asterisk/rtp_engine.h"
#include "host.h"

#define MOST_CHANNELS 8

struct ast_channel {
	const struct ast_channel_tech *tech;
	struct ast_rtp_instance *instance;
	int cause, reason;
};

struct ast_channel_iterator {
	int next;
};

static struct ast_channel *channels[MOST_CHANNELS];
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;

static void channel_destructor(void *object)
{
	struct ast_channel *channel = object;
	if (channel->instance)
		__ao2_ref(channel->instance, -1);
}

static enum ast_rtp_glue_result get_rtp_info(struct ast_channel *channel, struct ast_rtp_instance **instance)
{
	if (!channel->instance)
		return AST_RTP_GLUE_RESULT_FORBID;
	__ao2_ref(channel->instance, 1);
	*instance = channel->instance;
	return AST_RTP_GLUE_RESULT_LOCAL;
}

static const struct ast_channel_tech sip = { .type = "SIP" }, local = { .type = "Local" };
static struct ast_rtp_glue glue = { .type = "SIP", .get_rtp_info = get_rtp_info };

struct ast_rtp_glue *ast_rtp_instance_get_glue(const char *type)
{
	return strcasecmp(type, glue.type) ? NULL : &glue;
}

struct ast_channel *host_channel_new(struct ast_rtp_instance *instance)
{
	struct ast_channel *channel = __ao2_alloc(sizeof *channel, channel_destructor, AO2_ALLOC_OPT_LOCK_MUTEX);
	channel->tech = instance ? &sip : &local;
	channel->instance = instance;
	if (instance)
		__ao2_ref(instance, 1);
	pthread_mutex_lock(&list_lock);
	for (int i = 0; i < MOST_CHANNELS; i++) {
		if (!channels[i]) {
			channels[i] = channel;
			break;
		}
	}
	pthread_mutex_unlock(&list_lock);
	return channel;
}

void host_channel_destroy(struct ast_channel *channel)
{
	pthread_mutex_lock(&list_lock);
	for (int i = 0; i < MOST_CHANNELS; i++) {
		if (channels[i] == channel)
			channels[i] = NULL;
	}
	pthread_mutex_unlock(&list_lock);
	__ao2_ref(channel, -1);
}

void host_channel_set_locked(struct ast_channel *channel, int locked)
{
	if (locked)
		__ao2_lock(channel, AO2_LOCK_REQ_MUTEX, __FILE__, __func__, __LINE__, "channel");
	else
		__ao2_unlock(channel, __FILE__, __func__, __LINE__, "channel");
}

int host_channel_cause(struct ast_channel *channel)
{
	int cause;
	__ao2_lock(channel, AO2_LOCK_REQ_MUTEX, __FILE__, __func__, __LINE__, "channel");
	cause = channel->reason ? channel->cause : 0;
	__ao2_unlock(channel, __FILE__, __func__, __LINE__, "channel");
	return cause;
}

const struct ast_channel_tech *ast_channel_tech(const struct ast_channel *channel)
{
	return channel->tech;
}

void *ast_channel_tech_pvt(const struct ast_channel *channel)
{
	return channel->instance;
}

const char *ast_channel_name(const struct ast_channel *channel)
{
	return channel->instance ? "SIP/test-00000001" : "Local/test-00000002";
}

void ast_channel_hangupcause_set(struct ast_channel *channel, int value)
{
	channel->cause = value;
}

int ast_softhangup_nolock(struct ast_channel *channel, int reason)
{
	channel->reason |= reason;
	return 0;
}

struct ast_channel_iterator *ast_channel_iterator_all_new(void)
{
	return calloc(1, sizeof(struct ast_channel_iterator));
}

struct ast_channel *ast_channel_iterator_next(struct ast_channel_iterator *i)
{
	struct ast_channel *found = NULL;
	pthread_mutex_lock(&list_lock);
	while (!found && i->next < MOST_CHANNELS)
		found = channels[i->next++];
	if (found)
		__ao2_ref(found, 1);
	pthread_mutex_unlock(&list_lock);
	return found;
}

struct ast_channel_iterator *ast_channel_iterator_destroy(struct ast_channel_iterator *i)
{
	free(i);
	return NULL;
}
