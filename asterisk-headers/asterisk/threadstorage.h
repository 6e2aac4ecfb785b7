/*
 * Thread-local buffers; declared because strings.h refers to them.
 */
#ifndef ASTERISK_HEADERS_THREADSTORAGE_H
#define ASTERISK_HEADERS_THREADSTORAGE_H

#include <pthread.h>

struct ast_threadstorage {
	pthread_once_t once;
	pthread_key_t key;
	void (*key_init)(void);
	int (*custom_init)(void *);
};

#endif
