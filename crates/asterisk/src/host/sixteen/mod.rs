//! Asterisk 16 and later. The module is built with the headers of the host that it is for.

pub mod codecs;
pub mod commands;
pub mod dtls;
pub mod format;
pub mod frame;
pub mod instance;
pub mod loader;
pub mod objects;
pub mod options;
pub mod reports;
pub mod statistics;
pub mod stream;
pub mod table;
