//! `codec_opus_g719.so`: Opus (RFC 6716) to and from linear samples, in an Asterisk 11 that does not know Opus.
//!
//! Opus travels through the core as G.719 (see `opus` in `websocket.conf`), so these are translators of G.719. The `opus` crate does
//! the work; this crate converts frames. The core makes all other paths out of these: between Opus and µ-law by linear samples at
//! 8000 Hz, at which libopus itself works then, without resampling.
//!
//! - Nothing is registered unless `websocket.conf` says `opus = g719`. With a way to G.719, the core would offer it to every phone that
//!   allows all codecs.
//! - A path counts as a use of the module, so the host refuses to unload it during calls. A forced unload is refused as well.
//! - `codecs.conf` has the settings of the encoder, in the section `[opus]`.

mod decode;
mod encode;
mod settings;

use std::sync::Mutex;
use std::time::Duration;

use asterisk::limit::RateLimit;
use asterisk::module::{self, LoadResult};
use asterisk::translator::{self, Registration};
use asterisk::{Failed, lock};

use decode::Decode;
use encode::Encode;
use settings::Settings;

asterisk::module! {
    name: c"codec_opus_g719",
    description: c"Opus Coder/Decoder, carried as G.719",
    flags: module::DEFAULT,
    module: Module,
}

struct Module;

/// The translators; none before they are wanted for the first time.
static TRANSLATORS: Mutex<Vec<Registration>> = Mutex::new(Vec::new());

impl module::Module for Module {
    const RELOADS: bool = true;

    fn load() -> LoadResult {
        match apply(&Settings::load()) {
            Ok(()) => LoadResult::Success,
            Err(Failed) => LoadResult::Decline,
        }
    }

    fn unload() -> Result<(), Failed> {
        let mut translators = lock(&TRANSLATORS);
        match translator::end(std::mem::take(&mut translators)) {
            Ok(()) => Ok(()),
            Err(still_used) => {
                *translators = still_used;
                let paths = translator::in_use();
                asterisk::error!("Opus: codec_opus_g719 is not unloaded: calls use {paths} translators of it");
                Err(Failed)
            }
        }
    }

    fn reload() -> Result<(), Failed> {
        apply(&Settings::load())
    }
}

/// Puts settings in force: for paths that begin from now on.
fn apply(settings: &Settings) -> Result<(), Failed> {
    settings::set_encoder(settings.encoder);
    let mut translators = lock(&TRANSLATORS);
    if !settings.is_wanted {
        asterisk::notice!("Opus is not translated: websocket.conf does not say opus = g719");
    } else if translators.is_empty() {
        *translators = register().inspect_err(|Failed| {
            asterisk::error!("Opus: the host took no translators, so only calls with Opus on both sides have sound");
        })?;
    }
    translators.iter().for_each(|translator| translator.set_active(settings.is_wanted));
    Ok(())
}

fn register() -> Result<Vec<Registration>, Failed> {
    Ok(vec![
        Registration::new::<Decode<8000>>()?,
        Registration::new::<Decode<16_000>>()?,
        Registration::new::<Decode<48_000>>()?,
        Registration::new::<Encode<8000>>()?,
        Registration::new::<Encode<16_000>>()?,
        Registration::new::<Encode<48_000>>()?,
    ])
}

/// Limits lines about what peers send.
static PEERS: RateLimit = RateLimit::new(Duration::from_secs(60), 1);

/// Logs a fault that every packet may have.
fn warn(fault: opus::Error) {
    if let Some(before) = PEERS.allow() {
        asterisk::warning!("Opus: {fault} ({before} such lines were left out since the last one)");
    }
}

/// The rate of that many samples per second.
const fn rate(hz: u32) -> opus::Rate {
    match hz {
        8000 => opus::Rate::Hz8000,
        16_000 => opus::Rate::Hz16000,
        48_000 => opus::Rate::Hz48000,
        _ => panic!("a rate with a translator"),
    }
}

/// The host's format of linear samples at that rate.
const fn linear(hz: u32) -> translator::Sound {
    match rate(hz) {
        opus::Rate::Hz8000 => translator::Sound::Slinear,
        opus::Rate::Hz16000 => translator::Sound::Slinear16,
        opus::Rate::Hz48000 => translator::Sound::Slinear48,
    }
}

/// Milliseconds of that many samples.
fn milliseconds(samples: usize, hz: u32) -> u32 {
    (samples * 1000 / hz as usize) as u32
}
