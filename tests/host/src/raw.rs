//! The interface of the core, bound from `core/host.h`.

#![allow(non_camel_case_types, non_upper_case_globals, missing_docs, clippy::all, reason = "generated from C")]

/// `size_t` as bindgen writes it.
pub type Size = usize;

include!(concat!(env!("OUT_DIR"), "/host.rs"));
