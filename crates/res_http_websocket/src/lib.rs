//! HTTP WebSocket Support for Asterisk 11, in place of its res_http_websocket.so.
