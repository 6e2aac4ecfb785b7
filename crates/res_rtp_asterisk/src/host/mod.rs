//! The calls that the host makes to a session: those of its RTP engine, its ICE table and its DTLS table.

mod dtls;
mod engine;
mod ice;
mod media;
