//! The section `[opus]` of `codecs.conf`, and the switch in `websocket.conf`. A value that cannot be used is logged as an error with
//! file, line and key, and the default applies.

use std::ffi::CStr;
use std::sync::Mutex;

use asterisk::config::{Config, Entry, Load, Reload};

/// The settings of this module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Whether Opus travels as G.719 (`opus` in `websocket.conf`).
    pub is_wanted: bool,
    /// The settings of encoders that begin from now on.
    pub encoder: opus::Settings,
}

impl Settings {
    /// Reads both files. A missing one gives the defaults.
    pub fn load() -> Self {
        Self { is_wanted: read(c"websocket.conf").is_some_and(|file| is_wanted(&file)), encoder: encoder_settings() }
    }
}

fn read(file: &CStr) -> Option<Config> {
    match Config::load(file, Reload::Always) {
        Load::Loaded(config) => Some(config),
        Load::Missing | Load::Invalid | Load::Unchanged => None,
    }
}

/// Whether the switch is on. The module of the WebSocket reads the same line, and complains about any other value.
fn is_wanted(file: &Config) -> bool {
    file.get(c"sip", "opus").is_some_and(|entry| entry.value.trim().eq_ignore_ascii_case("g719"))
}

fn encoder_settings() -> opus::Settings {
    let default = opus::Settings::default();
    let Some(file) = read(c"codecs.conf") else { return default };
    let settings = opus::Settings {
        complexity: file.number(SECTION, "complexity", 0..=10, default.complexity),
        bitrate: file.get(SECTION, "bitrate").map_or(default.bitrate, bitrate),
        expected_loss: file.number(SECTION, "packet_loss", 0..=100, default.expected_loss),
        forward_error_correction: file.boolean(SECTION, "fec", default.forward_error_correction),
    };
    for Entry { name, file, line, .. } in file.section(SECTION).filter(|entry| !is_known(entry.name)) {
        asterisk::warning!("{file}, line {line}: unknown key '{name}' in [opus] is ignored, check its name");
    }
    settings
}

fn bitrate(entry: Entry<'_>) -> Option<u32> {
    if entry.value.trim().eq_ignore_ascii_case("auto") {
        return None;
    }
    entry.number(6000..=510_000).map(Some).unwrap_or_else(|bad| {
        bad.use_instead("auto");
        None
    })
}

fn is_known(key: &str) -> bool {
    ["complexity", "bitrate", "packet_loss", "fec"].iter().any(|known| known.eq_ignore_ascii_case(key))
}

const SECTION: &CStr = c"opus";

/// The settings for encoders; `None` before the module has read its files.
static ENCODER: Mutex<Option<opus::Settings>> = Mutex::new(None);

/// The settings of an encoder that begins now.
pub fn encoder() -> opus::Settings {
    asterisk::lock(&ENCODER).unwrap_or_default()
}

/// Sets the settings of encoders that begin from now on.
pub fn set_encoder(settings: opus::Settings) {
    *asterisk::lock(&ENCODER) = Some(settings);
}
