//! The module's CLI commands.

pub mod commands;
pub mod debug;
pub mod known;
mod relay;
mod story;
