//! The module's console commands.

pub mod commands;
pub mod debug;
