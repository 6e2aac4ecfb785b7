//! A real Asterisk and real browsers: register, call, hear, hang up.
