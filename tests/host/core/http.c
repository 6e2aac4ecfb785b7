/*
 * The HTTP server. It does not parse requests: the test passes the parsed parameters and headers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "asterisk/astobj2.h"
#include "asterisk/http.h"
#include "stream.h"
#include "host.h"

static struct ast_http_uri *uris;

int ast_http_uri_link(struct ast_http_uri *urihandler)
{
	for (struct ast_http_uri *uri = uris; uri; uri = uri->entry.next)
		if (!strcmp(uri->uri, urihandler->uri))
			return -1;
	urihandler->entry.next = uris;
	uris = urihandler;
	return 0;
}

void ast_http_uri_unlink(struct ast_http_uri *urihandler)
{
	for (struct ast_http_uri **link = &uris; *link; link = &(*link)->entry.next) {
		if (*link == urihandler) {
			*link = urihandler->entry.next;
			return;
		}
	}
}

void ast_http_error(struct ast_tcptls_session_instance *ser, int status, const char *title, const char *text)
{
	fprintf(ser->f, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n\r\n%s", status, title, strlen(text), text);
	fflush(ser->f);
}

static atomic_int key_updates;
static atomic_long reads;

void host_tls_set_key_updates(int on)
{
	key_updates = on;
}

long host_tls_reads(void)
{
	return reads;
}

/* Keeps received octets; octets that request key updates are consumed. */
static void hold(struct ast_tcptls_stream *stream, size_t got)
{
	stream->from = 0;
	stream->until = got;
	if (key_updates) {
		stream->owed += got * HOST_KEY_UPDATE_LEN;
		stream->until = 0;
	}
	for (size_t i = 0; i < stream->until; i++)
		stream->held[i] ^= HOST_TLS_MASK;
}

/* Writes the answers to key updates; returns -1 if that fails or would block. */
static int answer_key_updates(struct ast_tcptls_stream *stream)
{
	static const char answers[4096];
	while (stream->owed) {
		size_t size = stream->owed < sizeof answers ? stream->owed : sizeof answers;
		ssize_t sent = send(stream->fd, answers, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0)
			return -1;
		stream->owed -= sent;
	}
	return 0;
}

/*
 * Reads into the buffer of the stream behind `f`. With `tls` it reads whole records at once and keeps the octets that were
 * not requested, which polling the descriptor does not show; the "encryption" is a XOR.
 */
static ssize_t fill(struct ast_tcptls_stream *stream, size_t size)
{
	if (stream->tls || size > sizeof stream->held)
		size = sizeof stream->held;
	for (;;) {
		/* A timeout while writing, or a closed connection, looks like the end of the stream. */
		if (answer_key_updates(stream))
			return 0;
		ssize_t got = recv(stream->fd, stream->held, size, MSG_DONTWAIT);
		struct pollfd wait = { .fd = stream->fd, .events = POLLIN };
		if (got > 0 && stream->tls) {
			hold(stream, got);
			if (stream->until)
				return got;
			continue;
		}
		if (got >= 0) {
			stream->from = 0;
			stream->until = got;
			return got;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -1;
		/* A timeout of 0 means not to block; -1 means to block for ever. */
		if (stream->timeout >= 0 && !stream->exclusive_input) {
			errno = EAGAIN;
			return -1;
		}
		if (poll(&wait, 1, stream->timeout) == 0)
			return 0;
	}
}

static ssize_t take(struct ast_tcptls_stream *stream, char *buffer, size_t size)
{
	size_t held = stream->until - stream->from;
	if (held > size)
		held = size;
	memcpy(buffer, stream->held + stream->from, held);
	stream->from += held;
	return held;
}

static ssize_t stream_read(void *cookie, char *buffer, size_t size)
{
	struct ast_tcptls_stream *stream = cookie;
	if (stream->from == stream->until) {
		ssize_t got = fill(stream, size);
		if (got <= 0)
			return got;
	}
	return take(stream, buffer, size);
}

static ssize_t stream_write(void *cookie, const char *buffer, size_t size)
{
	struct ast_tcptls_stream *stream = cookie;
	char masked[4096];
	if (answer_key_updates(stream))
		return errno == EAGAIN ? 0 : -1;
	if (size > sizeof masked)
		size = sizeof masked;
	for (size_t i = 0; i < size; i++)
		masked[i] = buffer[i] ^ (stream->tls ? HOST_TLS_MASK : 0);
	ssize_t sent = send(stream->fd, masked, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sent < 0 ? (errno == EAGAIN ? 0 : -1) : sent;
}

static int stream_close(void *cookie)
{
	struct ast_tcptls_stream *stream = cookie;
	close(stream->fd);
	stream->fd = -1;
	return 0;
}

static ssize_t old_tls_read(void *cookie, char *buffer, size_t size)
{
	struct ast_tcptls_stream *stream = cookie;
	while (stream->from == stream->until) {
		ssize_t got = answer_key_updates(stream) ? -1 : recv(stream->fd, stream->held, sizeof stream->held, 0);
		if (got <= 0)
			return got;
		hold(stream, got);
	}
	return take(stream, buffer, size);
}

static ssize_t old_tls_write(void *cookie, const char *buffer, size_t size)
{
	struct ast_tcptls_stream *stream = cookie;
	char masked[4096];
	if (answer_key_updates(stream))
		return -1;
	if (size > sizeof masked)
		size = sizeof masked;
	for (size_t i = 0; i < size; i++)
		masked[i] = buffer[i] ^ HOST_TLS_MASK;
	return send(stream->fd, masked, size, MSG_NOSIGNAL);
}

static int old_tls_close(void *cookie)
{
	struct ast_tcptls_stream *stream = cookie;
	close(stream->fd);
	free(stream);
	return 0;
}

/*
 * Before 11.10.1 there is no stream in the session: plain connections are read from `fd`, the others through `ssl`, and
 * whether that waits is up to the socket. The last byte of a buffer is kept for a NUL.
 */
static ssize_t old_read(struct ast_tcptls_session_instance *ser, char *buf, size_t count)
{
	ssize_t got;
	if (ser->fd == -1) {
		errno = EIO;
		return -1;
	}
	if (!ser->ssl)
		return read(ser->fd, buf, count);
	got = old_tls_read(ser->ssl, buf, count - 1);
	if (got >= 0)
		buf[got] = '\0';
	return got;
}

ssize_t ast_tcptls_server_read(struct ast_tcptls_session_instance *ser, void *buf, size_t count)
{
	reads++;
	if (host_before_11_11())
		return old_read(ser, buf, count);
	if (!ser->stream_cookie || ser->stream_cookie->fd < 0) {
		errno = EIO;
		return -1;
	}
	return stream_read(ser->stream_cookie, buf, count);
}

ssize_t ast_tcptls_server_write(struct ast_tcptls_session_instance *ser, const void *buf, size_t count)
{
	if (host_before_11_11()) {
		if (ser->fd == -1) {
			errno = EIO;
			return -1;
		}
		return ser->ssl ? old_tls_write(ser->ssl, buf, count) : write(ser->fd, buf, count);
	}
	if (!ser->stream_cookie || ser->stream_cookie->fd < 0) {
		errno = EIO;
		return -1;
	}
	return stream_write(ser->stream_cookie, buf, count);
}

static void session_destructor(void *object)
{
	struct ast_tcptls_session_instance *ser = object;
	if (!host_before_11_11())
		free(ser->stream_cookie);
}

/* Has the length of the older struct, so that valgrind detects accesses beyond it. */
#define OLD_SESSION_SIZE 176

static struct ast_tcptls_session_instance *session(int fd, int tls)
{
	static const cookie_io_functions_t functions = { .read = stream_read, .write = stream_write, .close = stream_close };
	static const cookie_io_functions_t old = { .read = old_tls_read, .write = old_tls_write, .close = old_tls_close };
	int before = host_before_11_11();
	struct ast_tcptls_session_instance *ser =
		__ao2_alloc(before ? OLD_SESSION_SIZE : sizeof *ser, session_destructor, AO2_ALLOC_OPT_LOCK_MUTEX);
	struct ast_tcptls_stream *stream = before && !tls ? NULL : calloc(1, sizeof *stream);
	struct sockaddr_in *address = (struct sockaddr_in *) &ser->remote_address.ss;
	if (stream) {
		stream->fd = fd;
		stream->tls = tls;
		stream->timeout = -1;
		stream->exclusive_input = 1;
	}
	ser->fd = fd;
	if (!before)
		ser->stream_cookie = stream;
	ser->f = stream ? fopencookie(stream, "w+", before ? old : functions) : fdopen(fd, "w+");
	/* As in the real host, plain streams have no buffer: every fgetc is a read. */
	if (!tls)
		setvbuf(ser->f, NULL, _IONBF, 0);
	ser->ssl = tls ? (SSL *) stream : NULL;
	address->sin_family = AF_INET;
	address->sin_port = htons(40000);
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ser->remote_address.len = sizeof *address;
	return ser;
}

int host_http_serve(int fd, int tls, const char *path, int method, struct ast_variable *headers)
{
	struct ast_tcptls_session_instance *ser = session(fd, tls);
	struct ast_http_uri *uri = uris;
	int result = -1;
	char line[256];
	while (fgets(line, sizeof line, ser->f) && strcmp(line, "\r\n"))
		;
	while (uri && strcmp(uri->uri, path))
		uri = uri->entry.next;
	if (uri)
		result = uri->callback(ser, uri, "", method, NULL, headers);
	else
		ast_http_error(ser, 404, "Not Found", "no such page");
	if (ser->f) {
		fclose(ser->f);
		ser->f = NULL;
	}
	__ao2_ref(ser, -1);
	ast_variables_destroy(headers);
	return result;
}
