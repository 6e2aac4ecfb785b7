//! Why a call has no audio, and how well it goes.

pub mod counters;
pub mod overdue;
pub mod statistics;
pub mod verdict;
