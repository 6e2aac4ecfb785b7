//! Tests with a real Asterisk and our modules, and real browsers and phones that call through it.
//!
//! `ASTERISK_PREFIX` names an Asterisk 11, 16 or 22: an installed one, or `target/debian/16` as `cargo xtask demo`
//! unpacks it. Without it the tests are compiled and ignored. `MODULES_DIR` is the directory with our three `.so`
//! files for that host; without it the host's own are used. Every Asterisk runs in its own directory; the installation
//! is not changed. Logs are below `target/e2e/<host>/<test>/`: `log/full` is Asterisk's, `log/<account>-<browser>.log`
//! the page's with every SIP message and description, `call-<browser>-<width>.png` a picture of the demo page in a
//! call. `E2E_PICTURES` names a directory whose pictures are to be replaced, from calls of a minute, `E2E_MESSAGES` one for
//! the SIP messages of all pages.

pub mod asterisk;
pub mod baresip;
pub mod callers;
pub mod camera;
pub mod capture;
pub mod certificate;
pub mod datagrams;
pub mod demo;
pub mod desk;
pub mod dialog;
pub mod differential;
pub mod driver;
pub mod ending;
pub mod failure;
pub mod fleet;
pub mod forwarder;
pub mod g711;
pub mod kamailio;
pub mod lab;
pub mod links;
pub mod linphone;
pub mod manager;
pub mod moving;
pub mod nat;
pub mod page;
pub mod peer;
pub mod phone;
pub mod plain;
pub mod plain_phone;
pub mod ports;
pub mod prefix;
pub mod process;
pub mod proof;
pub mod puppet;
pub mod rtp;
pub mod samples;
pub mod signalling;
pub mod sip;
pub mod site;
pub mod stranger;
pub mod talker;
pub mod text;
pub mod tone;
pub mod turnserver;
pub mod user;
pub mod wire;
