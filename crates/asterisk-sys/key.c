/*
 * The key has its own object file, so that a test that replaces the functions of shim.c can link it alone.
 */
#include "asterisk.h"
#include "asterisk/module.h"
#include "shim.h"

const char asterisk_sys_key[] = ASTERISK_GPL_KEY;
