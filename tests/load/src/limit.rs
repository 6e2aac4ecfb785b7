//! The number of calls that a server carries on one processor before packets are lost.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::failure::{Failure, Result};
use e2e::process::cpu;

use crate::crowd::{Crowd, Place, Talk};
use crate::options::Load;
use crate::round;
use crate::server::{Server, use_processors};

/// The part of packets that may be lost.
const LOSS: f64 = 0.001;

/// The calls of the first step, and the most of all.
const FIRST: usize = 40;
const MOST: usize = 1400;

/// The attempts of a step.
const ATTEMPTS: usize = 3;

/// Calls begun per second.
const RATE: u32 = 100;

/// The time that each step settles in, and that packets have for their way when it is over.
const SETTLE: Duration = Duration::from_secs(1);
const WAY: Duration = Duration::from_millis(200);

/// Adds calls by eighths until a step of the load's length loses more than [`LOSS`]; the calls of the last step that did not,
/// `None` if the first one did. The
/// server has the first processor, the generator the others.
pub fn find(name: &str, modules: &Path, load: &Load, ip: Ipv4Addr) -> Result<Option<f64>> {
    let place = Place::new(ip)?;
    use_processors(|number| number == 0)?;
    let server = Server::start(name, modules, load.codec(), MOST, place.port()?, ip);
    use_processors(|number| number != 0)?;
    let outcome = server.and_then(|server| {
        round::warm_up(&server, &place, load)?;
        let mut crowd = Crowd::new(&place, &server, load)?;
        grow(&mut crowd, &server, load).map_err(|failure| Failure::new(format!("{name}: {failure}")))
    });
    use_processors(|_| true)?;
    outcome
}

fn grow(crowd: &mut Crowd, server: &Server, load: &Load) -> Result<Option<f64>> {
    let (mut calls, mut held) = (0, 0);
    while calls < MOST {
        let more = (calls / 8).max(FIRST).min(MOST - calls);
        crowd.talk(Talk::Nobody, WAY)?;
        crowd.grow(more)?;
        crowd.set_up(RATE)?;
        calls += more;
        if !holds(crowd, server, load, calls)? {
            break;
        }
        held = calls;
    }
    Ok((held > 0).then_some(held as f64))
}

/// Whether a step loses no more than it may, at least once in [`ATTEMPTS`]: the machine may have had something else to do.
fn holds(crowd: &mut Crowd, server: &Server, load: &Load, calls: usize) -> Result<bool> {
    for _ in 0..ATTEMPTS {
        let lost = loss(crowd, server, load)?;
        eprintln!("{calls} calls: {lost}");
        if lost.part <= LOSS {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The outcome of a step.
struct Loss {
    /// The part of packets that were lost.
    part: f64,
    /// The part of a processor's time that the server used, and this process.
    busy: [f64; 2],
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [server, generator] = self.busy.map(|part| part * 100.0);
        write!(f, "{:.3} % lost, server busy {server:.0} %, generator {generator:.0} %", self.part * 100.0)
    }
}

fn loss(crowd: &mut Crowd, server: &Server, load: &Load) -> Result<Loss> {
    let cpu = || Ok::<_, Failure>([cpu(server.pid())?, cpu(std::process::id())?]);
    crowd.talk(Talk::All, SETTLE)?;
    crowd.begin_window();
    let (began, before) = (Instant::now(), cpu()?);
    crowd.talk(Talk::All, load.steady)?;
    crowd.end_window();
    let (after, length) = (cpu()?, began.elapsed());
    crowd.talk(Talk::Nobody, WAY)?;
    let (sent, arrived) = crowd.counted();
    let busy = [0, 1].map(|one: usize| (after[one] - before[one]).as_secs_f64() / length.as_secs_f64());
    Ok(Loss { part: 1.0 - arrived as f64 / sent as f64, busy })
}
