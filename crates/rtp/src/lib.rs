//! RTP, RTCP and telephone-event (RFC 3550, 3551, 4733), without I/O.
