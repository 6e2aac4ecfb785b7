//! RFC 6455: handshake and frames, without I/O.
