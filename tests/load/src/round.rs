//! One round of one side: start, set-up, steady state, tear-down, and what was measured meanwhile.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use e2e::failure::{Failure, Result, ensure};
use e2e::process;

use crate::crowd::{Crowd, Place, Talk};
use crate::leg::Marks;
use crate::options::{Kind, Load, Shape, With};
use crate::server::{Server, Used};
use crate::share::Sampling;

/// The measurements of one round, in the units of [`ROWS`].
pub type Figures = [Option<f64>; ROWS.len()];

/// The places in [`ROWS`] of the figures that the table shows.
pub const PACKET: usize = 0;
pub const OWN: usize = 1;
pub const SET_UP: usize = 5;
pub const HANDSHAKE: usize = 7;
pub const HEARD: usize = 8;
pub const MEMORY: usize = 10;
pub const IDLE: usize = 11;

/// The names and units of figures.
pub const ROWS: [&str; 12] = [
    "server CPU per packet, µs",
    "of that, media modules and their system calls",
    "generator CPU per packet, µs",
    "context switches of the server per packet",
    "packets lost, %",
    "CPU of set-up and tear-down per call, ms",
    "INVITE to 200, median, ms",
    "ICE pair to DTLS done, median, ms",
    "200 to first packet heard, median, ms",
    "200 to first packet heard, 95 %, ms",
    "memory per call, KiB",
    "context switches per second, idle",
];

/// The time that is given to threads to end, and to those that begin to sleep.
const PAUSE: Duration = Duration::from_millis(300);

/// The time in which the media modules' part is sampled.
const SAMPLED: Duration = Duration::from_secs(3);

/// Runs a load against these modules.
pub fn run(name: &str, modules: &Path, load: &Load, ip: Ipv4Addr) -> Result<Figures> {
    let place = Place::new(ip)?;
    let log = std::env::temp_dir().join(format!("load-{}.json", std::process::id()));
    let rtp = match load.with {
        Some(With::Watch) => format!("metrics = yes\ncallreport = yes\ncalllog = {}\n", log.display()),
        _ => String::new(),
    };
    let server = Server::start_with(name, modules, load.codec(), load.calls, place.port()?, ip, rtp)?;
    let outcome = measure(&server, &place, load);
    // There is one with a call log alone.
    let _ = std::fs::remove_file(log);
    outcome.map_err(|failure| Failure::new(format!("{failure}; see {}", server.lab().directory().display())))
}

fn measure(server: &Server, place: &Place, load: &Load) -> Result<Figures> {
    let idle = idle(server)?;
    warm_up(server, place, load)?;
    let mut crowd = Crowd::new(place, server, load)?;
    crowd.grow(load.calls)?;
    let (memory, before) = (server.memory()?, server.used()?);
    crowd.set_up(load.rate)?;
    crowd.talk(Talk::Nobody, PAUSE)?;
    let (up, with_calls) = (server.used()?, server.memory()?);
    let capture = if load.with == Some(With::Capture) { Some(Capture::begin(server)?) } else { None };
    let steady = steady(server, &mut crowd, load)?;
    capture.map_or(Ok(()), |capture| capture.end(server))?;
    let share = if load.share { Some(share(server, &mut crowd)?) } else { None };
    let down = server.used()?;
    crowd.tear_down(load.rate)?;
    server.lab().until_idle(Duration::from_secs(10))?;
    let after = server.used()?;
    let calls = load.calls as f64;
    let set_up = (up.cpu - before.cpu + after.cpu - down.cpu).as_secs_f64() * 1e3 / calls;
    let marks: Vec<Marks> = crowd.marks().collect();
    let [packet, generator, switches, lost] = steady;
    let times = |from: fn(&Marks) -> Option<Instant>, to: fn(&Marks) -> Option<Instant>| {
        let mut times: Vec<f64> = marks
            .iter()
            .filter_map(|marks| Some(to(marks)?.saturating_duration_since(from(marks)?).as_secs_f64() * 1e3))
            .collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let heard = times(|marks| marks.answered, |marks| marks.heard);
    Ok([
        Some(packet),
        share.map(|share| share * packet),
        Some(generator),
        Some(switches),
        Some(lost),
        Some(set_up),
        quantile(&times(|marks| marks.called, |marks| marks.answered), 0.5),
        quantile(&times(|marks| marks.paired, |marks| marks.keyed), 0.5).filter(|_| load.kind == Kind::Ice),
        quantile(&heard, 0.5),
        quantile(&heard, 0.95),
        Some(with_calls.saturating_sub(memory) as f64 / calls),
        Some(idle),
    ])
}

/// A capture of all calls.
struct Capture(PathBuf);

impl Capture {
    fn begin(server: &Server) -> Result<Self> {
        let file = server.lab().directory().join("log/load.pcapng");
        // An earlier round has left one.
        let _ = std::fs::remove_file(&file);
        let told = server.lab().asterisk().cli(&format!("rtp set capture all {} 4GB 1h", file.display()))?;
        ensure(told.contains("Enabled"), || told.clone())?;
        Ok(Self(file))
    }

    /// Ends it, and checks that it has lost nothing.
    fn end(self, server: &Server) -> Result {
        server.lab().asterisk().cli("rtp set capture off")?;
        let ended = format!("the capture into {} has ended", self.0.display());
        server.lab().until_logged(&ended, Duration::from_secs(10))?;
        let log = server.lab().log()?;
        let line = log.lines().find(|line| line.contains(&ended)).unwrap_or_default().to_owned();
        eprintln!("{}", line.split_once("It has").map_or(&*line, |(_, figures)| figures));
        std::fs::remove_file(self.0)?;
        ensure(line.contains("; 0 packets were lost"), || line.clone())
    }
}

/// Two calls, for what is made once.
pub fn warm_up(server: &Server, place: &Place, load: &Load) -> Result {
    let mut crowd = Crowd::new(place, server, load)?;
    crowd.grow(2)?;
    crowd.set_up(load.rate)?;
    crowd.talk(Talk::All, PAUSE)?;
    crowd.tear_down(load.rate)?;
    server.lab().until_idle(Duration::from_secs(10))
}

/// The context switches per second, before the first call: afterwards `chan_sip` has timers of its own for half a minute.
fn idle(server: &Server) -> Result<f64> {
    std::thread::sleep(PAUSE);
    let before = server.used()?;
    std::thread::sleep(Duration::from_secs(2));
    Ok((server.used()?.switches - before.switches) as f64 / 2.0)
}

/// The steady state: CPU of the server and of this process per packet, context switches per packet, percentage lost.
fn steady(server: &Server, crowd: &mut Crowd, load: &Load) -> Result<[f64; 4]> {
    let own = || process::cpu(std::process::id());
    crowd.talk(Talk::All, Duration::from_millis(500))?;
    let (before, ours): (Used, Duration) = (server.used()?, own()?);
    crowd.begin_window();
    crowd.talk(Talk::All, load.steady)?;
    crowd.end_window();
    let (after, our_end) = (server.used()?, own()?);
    // For those that are under way.
    crowd.talk(Talk::Nobody, PAUSE)?;
    let (sent, arrived) = crowd.counted();
    let packets = sent as f64;
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / packets;
    Ok([
        micros(after.cpu - before.cpu),
        micros(our_end - ours),
        after.switches.saturating_sub(before.switches) as f64 / packets,
        100.0 * (packets - arrived as f64) / packets,
    ])
}

/// The part of the server's time that the media modules use while all talk.
fn share(server: &Server, crowd: &mut Crowd) -> Result<f64> {
    let sampling = Sampling::start(server.pid(), SAMPLED, server.lab().directory())?;
    crowd.talk(Talk::All, SAMPLED + PAUSE)?;
    crowd.talk(Talk::Nobody, PAUSE)?;
    sampling.finish()
}

/// The value below which this part of the sorted values is; `None` of no values.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[(last as f64 * part).round() as usize])
}

/// The medians of several rounds; `None` where no round has measured a figure.
pub fn medians(rounds: &[Figures]) -> Figures {
    std::array::from_fn(|row| quantile(&sorted(rounds, row), 0.5))
}

/// The least values of several rounds.
pub fn minima(rounds: &[Figures]) -> Figures {
    std::array::from_fn(|row| quantile(&sorted(rounds, row), 0.0))
}

fn sorted(rounds: &[Figures], row: usize) -> Vec<f64> {
    let mut values: Vec<f64> = rounds.iter().filter_map(|figures| figures[row]).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The title of a load.
pub fn title(load: &Load) -> String {
    let Load { calls, kind, shape, .. } = load;
    let legs = match shape {
        Shape::Echo => String::new(),
        Shape::Bridge => format!(", {} legs, callees plain", calls * 2),
    };
    let gcm = if load.gcm { ", AES-GCM preferred" } else { "" };
    let opus = if load.opus { ", Opus" } else { "" };
    let with = match load.with {
        Some(With::Capture) => ", captured",
        Some(With::Watch) => ", with metrics, call log and reports",
        None => "",
    };
    format!(
        "{calls} calls over {}, {} {}{gcm}{opus}{legs}{with}, {} s steady",
        load.over().via(),
        kind.name(),
        shape.name(),
        load.steady.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_values() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.95), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 9.0], 0.5), Some(2.0));
    }
}
