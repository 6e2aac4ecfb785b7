//! Explains missing audio, and keeps counters and statistics of calls.

pub mod counters;
pub mod gone;
pub mod overdue;
pub mod statistics;
pub mod story;
pub mod verdict;
