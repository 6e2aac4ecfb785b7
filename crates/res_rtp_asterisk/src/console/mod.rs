//! The module's CLI commands and manager actions.

mod capture;
pub mod commands;
pub mod debug;
pub mod known;
pub mod manager;
mod relay;
mod story;
