/*
 * All headers of Asterisk 16 and later from which bindings are made. They are the host's own. Without HAVE_OPENSSL they
 * need no OpenSSL headers, as the bindings only pass pointers to its types.
 */
#define AST_MODULE "res_webrtc"
#define AST_MODULE_SELF_SYM __internal_res_webrtc_self

#include "asterisk.h"

#undef HAVE_OPENSSL

#include "asterisk/ast_version.h"
#include "asterisk/astobj2.h"
#include "asterisk/causes.h"
#include "asterisk/channel.h"
#include "asterisk/cli.h"
#include "asterisk/config.h"
#include "asterisk/format.h"
#include "asterisk/format_cache.h"
#include "asterisk/frame.h"
#include "asterisk/http.h"
#include "asterisk/http_websocket.h"
#include "asterisk/iostream.h"
#include "asterisk/json.h"
#include "asterisk/logger.h"
#include "asterisk/manager.h"
#include "asterisk/module.h"
#include "asterisk/netsock2.h"
#include "asterisk/optional_api.h"
#include "asterisk/options.h"
#include "asterisk/res_srtp.h"
#include "asterisk/rtp_engine.h"
#include "asterisk/sdp_srtp.h"
#include "asterisk/smoother.h"
#include "asterisk/tcptls.h"
#include "asterisk/utils.h"
