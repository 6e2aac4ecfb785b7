//! Explains missing audio, and keeps counters and statistics of calls.

pub mod account;
pub mod calls;
pub mod capture;
pub mod counters;
pub mod dialog;
pub mod drivers;
pub mod gone;
pub mod history;
pub mod overdue;
pub mod statistics;
pub mod story;
pub mod verdict;
