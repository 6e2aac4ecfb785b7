//! Implements the functions that the host calls on a session: its tables `ast_rtp_engine`, `ast_rtp_engine_ice` and
//! `ast_rtp_engine_dtls`, and the reading and writing of frames.

mod dtls;
mod engine;
pub mod ice;
mod media;
