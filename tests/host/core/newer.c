/*
 * The functions that only newer cores of Asterisk 11 have, in a separate library, so that a test can omit it.
 */
#include <sys/time.h>
#include "asterisk/tcptls.h"
#include "stream.h"

int ast_verb_sys_level = 4;

void ast_tcptls_stream_set_timeout_disable(struct ast_tcptls_stream *stream)
{
	stream->timeout = -1;
}

void ast_tcptls_stream_set_timeout_inactivity(struct ast_tcptls_stream *stream, int timeout)
{
	stream->timeout = timeout;
}

void ast_tcptls_stream_set_exclusive_input(struct ast_tcptls_stream *stream, int exclusive_input)
{
	stream->exclusive_input = exclusive_input;
}
