//! A real Asterisk with our modules, and real browsers and phones that call through it.
//!
//! `ASTERISK_PREFIX` names an installed Asterisk 11 and `MODULES_DIR` the directory with our three `.so` files. Every
//! Asterisk that runs here has a directory of its own: nothing of the installation is changed.

pub mod asterisk;
pub mod prefix;
