//! Raw bindings to the Asterisk 11 module ABI.
