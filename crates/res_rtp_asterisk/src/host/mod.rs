//! The calls that the host makes to a session.

mod dtls;
mod engine;
mod ice;
