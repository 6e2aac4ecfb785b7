//! The host's HTTP server: whether a WebSocket can be opened at `/ws`, in clear and over TLS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use asterisk::config::{Config, Load, Reload};
use dtls_srtp::Certificate;
use story::Driver;

use super::step::Step;
use super::websocket::{self, Layer, Target, Trouble};
use crate::diagnosis::drivers;

/// The settings of `http.conf` that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Settings {
    is_enabled: bool,
    bind_address: Option<String>,
    port: Option<String>,
    prefix: String,
    has_tls: bool,
    tls_address: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    /// An origin that may connect, if `websocket.conf` says which.
    origin: Option<String>,
}

/// Tries the WebSocket, and tells a step for each way to it.
pub fn steps(mut tell: impl FnMut(Step)) {
    let Load::Loaded(config) = Config::load(c"http.conf", Reload::Always) else {
        return tell(Step::failed(PLAIN, "there is no http.conf that can be read, so browsers cannot connect"));
    };
    let entries = config.section(c"general");
    let settings = Settings { origin: origin(), ..Settings::of(entries.map(|entry| (entry.name, entry.value))) };
    match settings.plain() {
        Err(sentence) => tell(Step::failed(PLAIN, sentence)),
        Ok(address) => {
            let echo = try_echo(&settings, address, Layer::Plain);
            let is_open = !echo.has_failed();
            tell(echo);
            tell(if is_open {
                try_sip(&settings, address)
            } else {
                Step::not_tried(SIP, "no WebSocket can be opened")
            });
        }
    }
    tell(try_tls(&settings));
}

fn try_echo(settings: &Settings, address: SocketAddr, layer: Layer) -> Step {
    let (name, scheme) = match layer {
        Layer::Plain => (PLAIN, "ws"),
        Layer::Tls => (TLS, "wss"),
    };
    let url = format!("{scheme}://{address}{}", settings.path());
    let tried = websocket::echo(&settings.target(address), layer);
    Step::of(name, tried.map(|()| url.clone()).map_err(|trouble| sentence(&url, layer, &trouble)))
}

/// Opens a connection for SIP, which a channel driver serves.
fn try_sip(settings: &Settings, address: SocketAddr) -> Step {
    match websocket::open(&settings.target(address), Layer::Plain, "sip") {
        Ok(()) => Step::ok(SIP, ""),
        Err(Trouble::Status(400 | 404 | 501, _)) => Step::failed(SIP, without_sip(drivers::possible())),
        Err(trouble) => Step::failed(SIP, sentence("the protocol sip", Layer::Plain, &trouble)),
    }
}

/// Returns the sentence for a host without SIP over WebSocket, with what one of these drivers needs.
fn without_sip(drivers: impl Iterator<Item = Driver>) -> String {
    let ways = drivers.map(|driver| {
        let module = driver.names().websocket.to_string_lossy();
        match driver {
            Driver::ChanSip => module.into_owned(),
            Driver::ChanPjsip => format!("{module} with a transport of protocol ws in pjsip.conf"),
        }
    });
    let ways = ways.collect::<Vec<_>>().join(", or ");
    format!("no channel driver takes SIP over WebSocket; load {ways}, after res_http_websocket.so (modules.conf)")
}

fn try_tls(settings: &Settings) -> Step {
    match settings.tls() {
        None if !settings.is_enabled => Step::not_tried(TLS, "the HTTP server is off"),
        None if settings.has_tls => {
            Step::not_tried(TLS, "tlsbindaddr or bindaddr in http.conf is a name; write an address in its place")
        }
        None => {
            Step::not_tried(TLS, "http.conf has no tlsenable = yes; pages on https need wss, by Asterisk or by a proxy")
        }
        Some(address) => match settings.certificate() {
            Err(sentence) => Step::failed(TLS, sentence),
            Ok(()) => try_echo(settings, address, Layer::Tls),
        },
    }
}

/// Returns the sentence for a connection that failed.
fn sentence(url: &str, layer: Layer, trouble: &Trouble) -> String {
    let (address, port) = match layer {
        Layer::Plain => ("bindaddr", "bindport"),
        Layer::Tls => ("tlsbindaddr", "its port"),
    };
    match trouble {
        Trouble::Refused => format!(
            "nothing listens at {url}, though http.conf has it; another program may have the port ({address} and {port} in http.conf), \
             or 'module reload http' is due"
        ),
        Trouble::Connect(error) => {
            format!("{url} cannot be reached: {error}; correct {address} in http.conf, or the firewall of this machine")
        }
        Trouble::Tls(error) => format!("{url}: TLS fails: {error}; correct tlscertfile and tlsprivatekey in http.conf"),
        Trouble::Status(404, _) => format!(
            "{url} is not there (404); load res_http_websocket.so (modules.conf), or correct prefix in http.conf"
        ),
        Trouble::Status(503, line) => format!(
            "{url} takes no connections ({line}); 'webrtc drain off' ends a drain, sessionlimit in http.conf and the limits in \
             websocket.conf are the others"
        ),
        Trouble::Status(403, line) => format!("{url} refuses ({line}); see allowedorigins in websocket.conf"),
        Trouble::Status(_, line) => {
            format!("{url} answers '{line}' instead of opening a WebSocket; the log has the reason")
        }
        Trouble::Silent => format!("{url} does not answer; sessionlimit in http.conf may be reached"),
        Trouble::NoEcho => format!("{url} opens a WebSocket that does not echo; the log has the reason"),
    }
}

impl Settings {
    /// Reads the lines of `[general]`; later ones override earlier ones.
    fn of<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut settings = Self::default();
        for (name, value) in lines {
            let (text, value) = (Some(value.to_owned()).filter(|text| !text.is_empty()), value.trim());
            match name.to_ascii_lowercase().as_str() {
                "enabled" => settings.is_enabled = is_true(value),
                "bindaddr" => settings.bind_address = text,
                "bindport" => settings.port = text,
                "prefix" => settings.prefix = value.trim_matches('/').to_owned(),
                "tlsenable" | "sslenable" => settings.has_tls = is_true(value),
                "tlsbindaddr" | "sslbindaddr" => settings.tls_address = text,
                "tlscertfile" | "tlscert" | "sslcert" => settings.certificate = text,
                "tlsprivatekey" | "sslprivatekey" => settings.key = text,
                _ => {}
            }
        }
        settings
    }

    /// Returns the path of the WebSocket.
    fn path(&self) -> String {
        if self.prefix.is_empty() { "/ws".to_owned() } else { format!("/{}/ws", self.prefix) }
    }

    fn target(&self, address: SocketAddr) -> Target {
        Target { address, path: self.path(), origin: self.origin.clone() }
    }

    /// Returns an address of this machine at which the server listens, or the sentence that says why it does not.
    fn plain(&self) -> Result<SocketAddr, String> {
        if !self.is_enabled {
            return Err(
                "the HTTP server is off, so browsers cannot connect; set enabled = yes in [general] of http.conf"
                    .to_owned(),
            );
        }
        let Some(text) = &self.bind_address else {
            return Err("the HTTP server has no address; set bindaddr in [general] of http.conf".to_owned());
        };
        let port = self.port.as_deref().unwrap_or("8088").trim().parse().unwrap_or(8088);
        listening(text, port)
            .ok_or_else(|| format!("bindaddr = {text} in http.conf is not tried: write an address in place of a name"))
    }

    fn tls(&self) -> Option<SocketAddr> {
        let address = self.tls_address.as_ref().or(self.bind_address.as_ref())?;
        let address = if self.tls_address.is_some() { address.as_str() } else { bare(address) };
        listening(address, 8089).filter(|_| self.is_enabled && self.has_tls)
    }

    /// Judges the certificate of TLS, as far as it is named.
    fn certificate(&self) -> Result<(), String> {
        let Some(file) = &self.certificate else { return Ok(()) };
        match Certificate::try_pem_files(Path::new(file), self.key.as_ref().map(Path::new)) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(format!("{file}: {why}; renew tlscertfile in http.conf")),
            Err(error) => Err(format!("{error}; correct tlscertfile or tlsprivatekey in http.conf")),
        }
    }
}

/// Returns an origin that `websocket.conf` allows.
fn origin() -> Option<String> {
    let Load::Loaded(config) = Config::load(c"websocket.conf", Reload::Always) else { return None };
    allowed(config.section(c"general").named("allowedorigins").last()?.value)
}

/// Returns an origin that a list allows; `None` if a request without one may come.
fn allowed(list: &str) -> Option<String> {
    let mut origins = list.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    let first = origins.clone().next().filter(|_| !origins.any(|origin| origin.eq_ignore_ascii_case("none")))?;
    let host = first.replace("*.", "selftest.");
    Some(if host.contains("://") || host == "null" { host } else { format!("https://{host}") })
}

/// Returns an address of this machine at which a server with this address in its settings listens.
fn listening(text: &str, port: u16) -> Option<SocketAddr> {
    let text = text.trim();
    let address = text.parse::<SocketAddr>().ok();
    let address = address.or_else(|| {
        let ip = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()?;
        Some(SocketAddr::new(ip, port))
    })?;
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Some(SocketAddr::new(ip, if address.port() == 0 { port } else { address.port() }))
}

/// Returns an address without the port behind it.
fn bare(text: &str) -> &str {
    match text.parse::<SocketAddr>() {
        Ok(_) => text.rsplit_once(':').map_or(text, |(ip, _)| ip),
        Err(_) => text,
    }
}

/// Whether the host takes the text for yes.
pub fn is_true(text: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"].iter().any(|yes| text.eq_ignore_ascii_case(yes))
}

const PLAIN: &str = "WebSocket";
const SIP: &str = "SIP over WebSocket";
const TLS: &str = "WebSocket over TLS";

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(lines: &[(&str, &str)]) -> Settings {
        Settings::of(lines.iter().copied())
    }

    #[test]
    fn a_server_that_is_off_or_has_no_address_is_named_with_the_key() {
        assert!(settings(&[]).plain().unwrap_err().ends_with("set enabled = yes in [general] of http.conf"));
        assert!(settings(&[("enabled", "no"), ("bindaddr", "0.0.0.0")]).plain().is_err());
        let without = settings(&[("enabled", "yes")]).plain().unwrap_err();
        assert!(without.ends_with("set bindaddr in [general] of http.conf"), "{without}");
    }

    #[test]
    fn the_server_is_tried_at_an_address_of_this_machine() {
        let all = settings(&[("Enabled", "Yes"), ("bindaddr", "0.0.0.0"), ("prefix", "pbx"), ("tlsenable", "yes")]);
        assert_eq!(all.plain().unwrap().to_string(), "127.0.0.1:8088");
        assert_eq!(all.path(), "/pbx/ws");
        assert_eq!(all.tls().unwrap().to_string(), "127.0.0.1:8089");
        let one = settings(&[
            ("enabled", "yes"),
            ("bindaddr", "192.0.2.1"),
            ("bindport", "80"),
            ("tlsenable", "yes"),
            ("tlsbindaddr", "[::]:443"),
        ]);
        assert_eq!(one.plain().unwrap().to_string(), "192.0.2.1:80");
        assert_eq!((one.path().as_str(), one.tls().unwrap().to_string().as_str()), ("/ws", "[::1]:443"));
        assert_eq!(settings(&[("enabled", "yes"), ("bindaddr", "::1")]).tls(), None);
    }

    #[test]
    fn a_connection_that_fails_is_told_with_the_key_to_change() {
        let url = "ws://127.0.0.1:8088/ws";
        let told = |trouble: Trouble| sentence(url, Layer::Plain, &trouble);
        let status = |status| told(Trouble::Status(status, format!("{status} Reason")));
        assert!(
            told(Trouble::Refused).contains("another program may have the port (bindaddr and bindport in http.conf)")
        );
        assert!(status(404).contains("load res_http_websocket.so (modules.conf)"));
        assert!(status(503).contains("(503 Reason)") && status(503).contains("webrtc drain off"));
        assert!(status(403).contains("allowedorigins in websocket.conf"));
        assert!(status(426).contains("answers '426 Reason'"));
        assert!(told(Trouble::Silent).contains("sessionlimit in http.conf"));
        let tls = sentence("wss://[::1]:8089/ws", Layer::Tls, &Trouble::Tls("no cipher".to_owned()));
        assert!(tls.ends_with("TLS fails: no cipher; correct tlscertfile and tlsprivatekey in http.conf"), "{tls}");
    }

    #[test]
    fn a_host_without_sip_is_told_the_modules_of_the_drivers_that_it_can_have() {
        let sip = without_sip([Driver::ChanSip].into_iter());
        assert!(sip.ends_with("; load chan_sip.so, after res_http_websocket.so (modules.conf)"), "{sip}");
        let pjsip = without_sip([Driver::ChanPjsip].into_iter());
        assert!(
            pjsip.contains(
                "; load res_pjsip_transport_websocket.so with a transport of protocol ws in pjsip.conf, after "
            )
        );
        assert!(!pjsip.contains("chan_sip"), "{pjsip}");
        assert!(
            without_sip([Driver::ChanSip, Driver::ChanPjsip].into_iter()).contains("load chan_sip.so, or res_pjsip_")
        );
    }

    #[test]
    fn the_test_comes_from_an_origin_that_may_connect() {
        for (list, origin) in [
            ("https://phone.example", Some("https://phone.example")),
            ("*.example.com, https://phone.example", Some("https://selftest.example.com")),
            ("https://*.example.com", Some("https://selftest.example.com")),
            ("null", Some("null")),
            ("https://phone.example, none", None),
            ("", None),
        ] {
            assert_eq!(allowed(list).as_deref(), origin, "{list}");
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_named_with_its_file() {
        let sentence = settings(&[("tlscertfile", "/nowhere/asterisk.pem")]).certificate().unwrap_err();
        assert!(sentence.contains("/nowhere/asterisk.pem") && sentence.contains("tlscertfile"), "{sentence}");
    }
}
