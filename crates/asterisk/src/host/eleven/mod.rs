//! Asterisk 11, all releases. Differences between them are detected when the module loads.

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
