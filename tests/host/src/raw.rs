//! Bindings to the interface of the core (`core/host.h`).

#![allow(non_camel_case_types, non_upper_case_globals, missing_docs, clippy::all, reason = "generated from C")]

/// The type that bindgen uses for `size_t`.
pub type Size = usize;

include!(concat!(env!("OUT_DIR"), "/host.rs"));
