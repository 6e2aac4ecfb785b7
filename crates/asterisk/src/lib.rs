//! The Asterisk host API, safe: ownership, frames, logging, configuration, the module declaration.
