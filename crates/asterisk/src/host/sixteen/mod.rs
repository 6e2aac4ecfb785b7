//! Asterisk 16 and later, from the headers of the host that the module is built for.

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
