//! A fleet under load: accounts in bulk call through Kamailio while a node is killed, is to stop or is full, and a table of what a
//! fleet costs. Callers have no media, so a browser's call says what is heard.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use e2e::callers::{Call, Callers, State, password};
use e2e::failure::{Failure, Result, ensure};
use e2e::fleet::Fleet;
use e2e::kamailio::Plan;
use e2e::lab::Lab;
use e2e::phone::{Browser, RtcpMux};
use e2e::process;
use e2e::site::{Site, VOICE};

/// The tone of the second browser.
const OTHER_VOICE: f64 = 1600.0;

/// A machine that is busy with other tests is so many times slower.
const SLOWNESS: u32 = 3;

/// Lifts the limit of requests of one address, which all callers here have. Kamailio 5.6 notes that it waits for a PONG when it has
/// sent the PING: on loopback an answer may come before, and half a minute later it closes the connection.
const ONE_ADDRESS: &str = "#!define REQUESTS 1000000\n#!define KEEPALIVE 100\n";

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn a_node_killed_under_fifty_calls_costs_its_own_calls_alone() -> Result {
    let mut fleet = start("fleet-kill", 100, 3)?;
    let mut phones = [
        fleet.registered(Browser::Chromium, "1001", VOICE)?,
        fleet.registered(Browser::Chromium, "1002", OTHER_VOICE)?,
    ];
    for phone in &mut phones {
        phone.call("echo", RtcpMux::Require)?;
    }
    let mut callers = Callers::connect(fleet.kamailio.port(), 1011..1091, password)?;
    registers(&mut callers, 20)?;
    callers.place(50, "mirror")?;
    callers.settle(Duration::from_secs(20))?;
    let dead = usize::from(!fleet.has_call_of(0, "1001")?);
    let port = fleet.nodes[1 - dead].ports().sip;
    let kept = callers.calls().iter().filter(|call| call.node() == Some(port)).count();
    println!("calls of the nodes: {kept} on the one that stays, {} on the other", 50 - kept);
    ensure((15..=35).contains(&kept), || format!("one node has {kept} of 50 calls"))?;

    let [first, second] = &mut phones;
    second.hears(OTHER_VOICE)?;
    second.watch_gaps()?;
    fleet.nodes[dead].kill()?;
    let killed = Instant::now();
    while !fleet.kamailio.log()?.contains("does not answer: it gets no calls") {
        ensure(killed.elapsed() < Duration::from_secs(15), || {
            "Kamailio does not see that the node is dead".to_owned()
        })?;
        callers.load(5, "mirror", Duration::from_secs(1), Duration::from_millis(200))?;
    }
    let detected = Instant::now();
    callers.load(10, "mirror", Duration::from_secs(1), Duration::from_secs(4))?;
    callers.finish(Duration::from_secs(20))?;

    let later = &callers.calls()[50..];
    let (blind, seeing): (Vec<_>, Vec<_>) = later.iter().partition(|call| call.placed < detected);
    println!("detected after {:?}; calls until then: {}; later: {}", detected - killed, times(&blind), times(&seeing));
    all_ended_by_us(later)?;
    let slow = seeing.iter().filter_map(|call| call.took()).max().unwrap_or_default();
    ensure(slow < Duration::from_secs(2) * SLOWNESS, || format!("a call took {slow:?}"))?;
    ensure(later.iter().all(|call| call.node() == Some(port)), || "the dead node has answered".to_owned())?;

    first.hangup()?;
    first.call("echo", RtcpMux::Require)?;
    first.hears(VOICE)?;
    second.lives()?;
    let (longest, stalled) = second.longest_gap()?;
    println!("longest gap of the browser's call: {longest:?}, of which the page did not look for {stalled:?}");
    ensure(longest.saturating_sub(stalled) < Duration::from_millis(500), || format!("a gap of {longest:?}"))?;
    fleet.kamailio.until_registered(2 + 80, Duration::ZERO)?;
    // The BYEs of the dead node's calls have no answer.
    callers.end_all(Duration::from_secs(10)).ok();
    all_ended_by_us(callers.calls().iter().filter(|call| call.node() == Some(port)))
}

/// `core stop gracefully` is what `systemctl stop` can use: Kamailio sees the 503 of the node.
#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn a_node_that_is_to_stop_under_load_loses_no_call_and_ends_with_its_longest() -> Result {
    const LONGEST: Duration = Duration::from_secs(4);
    let fleet = start("fleet-drain", 100, 3)?;
    let mut callers = Callers::connect(fleet.kamailio.port(), 1011..1091, password)?;
    registers(&mut callers, 20)?;
    callers.load(5, "mirror", LONGEST, Duration::from_secs(4))?;
    let (stops, port) = (fleet.nodes[0].asterisk(), fleet.nodes[0].ports().sip);
    let order = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| stops.cli("core stop gracefully"));
        callers.load(5, "mirror", LONGEST, Duration::from_secs(6))?;
        callers.finish(Duration::from_secs(20))?;
        all_ended_by_us(callers.calls())?;
        let of_the_node: Vec<_> = callers.calls().iter().filter(|call| call.node() == Some(port)).collect();
        let last = of_the_node.iter().map(|call| call.placed).max().unwrap_or(order);
        let late = last.saturating_duration_since(order);
        println!(
            "{} calls, {} of the node, the last {late:?} after it was to stop",
            callers.calls().len(),
            of_the_node.len()
        );
        ensure(of_the_node.len() >= 5, || "the node had no calls".to_owned())?;
        ensure(late < Duration::from_secs(1) * SLOWNESS, || format!("the node took a call after {late:?}"))?;
        // Asterisk 16 waits ten seconds for a queue of its own.
        let end = order + late + LONGEST + Duration::from_secs(30);
        while Path::new(&format!("/proc/{}/exe", stops.pid())).exists() {
            ensure(Instant::now() < end, || "the node does not stop".to_owned())?;
            thread::sleep(Duration::from_millis(50));
        }
        println!("the node ended {:?} after it was to", order.elapsed());
        Ok(())
    })
}

/// `maxload` of `dispatcher.list`. A call that is refused or has ended counts no more.
#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn when_all_nodes_are_full_calls_get_503_until_one_ends() -> Result {
    let fleet = start_small("fleet-full")?;
    let mut callers = Callers::connect(fleet.kamailio.port(), 1001..1011, password)?;
    registers(&mut callers, 20)?;
    places_one_by_one(&mut callers, 3, "busy")?;
    fills_both_nodes(&fleet, &mut callers)?;
    // Nothing of what was refused counts.
    fills_both_nodes(&fleet, &mut callers)
}

/// Its calls count until their callers hang up. Those of callers who are gone count for hours, or until the list is read again.
#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn a_full_node_that_was_killed_gets_calls_again_when_its_callers_have_hung_up() -> Result {
    let mut fleet = start_small("fleet-full-killed")?;
    let mut callers = Callers::connect(fleet.kamailio.port(), 1001..1011, password)?;
    let mut gone = Callers::connect(fleet.kamailio.port(), 1011..1013, password)?;
    registers(&mut callers, 20)?;
    registers(&mut gone, 20)?;
    places_one_by_one(&mut callers, 4, "mirror")?;
    restarts_the_first_node(&mut fleet)?;
    // The BYEs of the dead node's calls have no answer.
    callers.end_all(PATIENCE).ok();
    fills_both_nodes(&fleet, &mut callers)?;

    places_one_by_one(&mut gone, 2, "mirror")?;
    ensure(up(gone.calls()) == 2, || format!("calls are {:?}", states(gone.calls())))?;
    restarts_the_first_node(&mut fleet)?;
    drop(gone);
    let before = callers.calls().len();
    places_one_by_one(&mut callers, 4, "mirror")?;
    ensure(up(&callers.calls()[before..]) == 2, || format!("calls are {:?}", states(&callers.calls()[before..])))?;
    callers.end_all(PATIENCE)?;
    fleet.kamailio.ask(&["dispatcher.reload"])?;
    fills_both_nodes(&fleet, &mut callers)
}

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn a_hundred_callers_place_five_calls_a_second() -> Result {
    measure("fleet-hundred", 100, 5, Duration::from_secs(5))
}

#[test]
#[ignore = "a benchmark of six minutes"]
fn two_thousand_callers_place_sixty_calls_a_second() -> Result {
    measure("fleet-thousands", 2000, 60, Duration::from_secs(300))
}

/// Registers callers, lets them call at a rate, and prints a table of what that took.
fn measure(name: &str, count: u32, rate: u32, time: Duration) -> Result {
    const LENGTH: Duration = Duration::from_secs(2);
    // A port is in use for half a minute after its call.
    let blocks = (rate * 4 * 40 / 2 / 200 + 1) as u16;
    let fleet = start(name, count, blocks)?;
    let mut callers = Callers::connect(fleet.kamailio.port(), 1001..1001 + count, password)?;
    let used = || -> Result<[Duration; 4]> {
        let [first, second] = &fleet.nodes;
        let node = |node: &Lab| process::cpu(node.asterisk().pid());
        Ok([fleet.kamailio.cpu()?, node(first)?, node(second)?, process::cpu(std::process::id())?])
    };
    let idle = used()?;
    let began = Instant::now();
    let registrations = registers(&mut callers, 100)?;
    let registered = used()?;
    let row = |name: &str, before: [Duration; 4], after: [Duration; 4], time: Duration| {
        let share = |at: usize| format!("{:.1} %", (after[at] - before[at]).as_secs_f64() / time.as_secs_f64() * 100.0);
        println!("| CPU: {name} | {} | {} | {} | {} |", share(0), share(1), share(2), share(3));
    };
    println!(
        "| {count} clients, {rate} calls/s of {LENGTH:?} for {time:?} | Kamailio | a node | the other | generator |"
    );
    row("registrations, 100/s", idle, registered, began.elapsed());
    let began = Instant::now();
    callers.load(rate, "mirror", LENGTH, time)?;
    callers.finish(Duration::from_secs(30))?;
    row("calls", registered, used()?, began.elapsed());
    println!("registrations: {}", percentiles(registrations));
    println!("calls: {}, failed: {}", times(&callers.calls().iter().collect::<Vec<_>>()), callers.failures().len());
    println!(
        "memory: {:?}",
        fleet.nodes.iter().map(|node| process::Footprint::of(node.asterisk().pid())).collect::<Vec<_>>()
    );
    all_ended_by_us(callers.calls())?;
    fleet.kamailio.until_registered(count as usize, Duration::ZERO)
}

/// The longest wait for a few calls.
const PATIENCE: Duration = Duration::from_secs(20);

/// A fleet whose nodes take two calls each.
fn start_small(name: &str) -> Result<Fleet> {
    Fleet::start_with(name, &Plan { maxload: Some(2), ..Plan::default() }, &Site::default())
}

/// Places four calls, two more that are refused, and ends the four.
fn fills_both_nodes(fleet: &Fleet, callers: &mut Callers) -> Result {
    let before = callers.calls().len();
    places_one_by_one(callers, 6, "mirror")?;
    let (taken, refused) = callers.calls()[before..].split_at(4);
    ensure(up(taken) == 4, || format!("a call was refused before all nodes are full: {:?}", states(taken)))?;
    for node in &fleet.nodes {
        let count = taken.iter().filter(|call| call.node() == Some(node.ports().sip)).count();
        ensure(count == 2, || format!("a node has {count} of 4 calls"))?;
    }
    let is_told = |call: &Call| matches!(&call.state, State::Failed(status) if status.contains(" 503 No Server "));
    ensure(refused.iter().all(is_told), || format!("calls too many are {:?}", states(refused)))?;
    ensure(fleet.kamailio.log()?.contains("no node that lives has room: INVITE of "), || {
        "the log has no line of it".to_owned()
    })?;
    callers.end_all(PATIENCE)?;
    all_ended_by_us(&callers.calls()[before..before + 4])
}

/// Kamailio counts a call after it has chosen the node, so that calls of the same moment can be more than `maxload`.
fn places_one_by_one(callers: &mut Callers, count: usize, number: &str) -> Result {
    (0..count).try_for_each(|_| {
        callers.place(1, number)?;
        callers.settle(PATIENCE)
    })
}

fn up(calls: &[Call]) -> usize {
    states(calls).into_iter().filter(|state| **state == State::Up).count()
}

fn states(calls: &[Call]) -> Vec<&State> {
    calls.iter().map(|call| &call.state).collect()
}

/// Kills the first node, and starts it again when Kamailio has seen that.
fn restarts_the_first_node(fleet: &mut Fleet) -> Result {
    let node = format!("node sip:127.0.0.1:{}", fleet.nodes[0].ports().sip);
    let (gone, back) =
        (format!("{node} does not answer: it gets no calls"), format!("{node} answers: it gets calls again"));
    let lines = |fleet: &Fleet, text: &str| Ok::<_, Failure>(fleet.kamailio.log()?.matches(text).count());
    let (were_gone, were_back) = (lines(fleet, &gone)?, lines(fleet, &back)?);
    fleet.nodes[0].kill()?;
    until(|| Ok(lines(fleet, &gone)? > were_gone))?;
    fleet.nodes[0].start_again()?;
    until(|| Ok(lines(fleet, &back)? > were_back))
}

fn until(holds: impl Fn() -> Result<bool>) -> Result {
    let end = Instant::now() + PATIENCE;
    while !holds()? {
        ensure(Instant::now() < end, || "Kamailio's log lacks a line".to_owned())?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn start(name: &str, users: u32, port_blocks: u16) -> Result<Fleet> {
    let plan = Plan { users, site: ONE_ADDRESS.to_owned(), ..Plan::default() };
    Fleet::start_with(name, &plan, &Site { port_blocks, ..Site::default() })
}

/// Registers all callers; how long each took.
fn registers(callers: &mut Callers, rate: u32) -> Result<Vec<Duration>> {
    let responses = callers.register(rate)?;
    let refused = responses.iter().find(|(response, _)| response.status() != Some(200));
    ensure(refused.is_none(), || format!("a registration was refused: {refused:?}"))?;
    Ok(responses.into_iter().map(|(_, took)| took).collect())
}

fn all_ended_by_us<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Result {
    let lost: Vec<_> = calls.into_iter().filter(|call| call.state != State::Ended).map(|call| &call.state).collect();
    ensure(lost.is_empty(), || format!("{} calls were lost: {lost:?}", lost.len()))
}

/// The number of calls and the times to their answers.
fn times(calls: &[&Call]) -> String {
    percentiles(calls.iter().filter_map(|call| call.took()).collect())
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
    let [median, most, all] = [50, 99, 100].map(|share| at(share).copied().unwrap_or_default());
    format!("{}, median {median:.1?}, 99 % {most:.1?}, longest {all:.1?}", times.len())
}
