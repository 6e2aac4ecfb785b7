//! The module's CLI commands.

pub mod commands;
pub mod debug;
mod relay;
