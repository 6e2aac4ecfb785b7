/*
 * The key, in an object of its own: a test that has functions in place of shim.c's links this one alone.
 */
#include "asterisk.h"
#include "asterisk/module.h"
#include "shim.h"

const char asterisk_sys_key[] = ASTERISK_GPL_KEY;
