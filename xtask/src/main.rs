//! The commands of README.md.

fn main() {}
