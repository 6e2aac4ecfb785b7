//! DTLS-SRTP (RFC 5763, 5764) on OpenSSL with memory buffers, without I/O.
