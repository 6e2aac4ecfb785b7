//! The module's CLI commands.

mod capture;
pub mod commands;
pub mod debug;
pub mod known;
mod relay;
mod story;
