//! Owned libsrtp sessions and policies (RFC 3711).
