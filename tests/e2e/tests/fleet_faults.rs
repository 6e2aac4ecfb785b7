//! Faults of a fleet's parts: a wrong password, a database that cannot be read, a node that comes and goes. Each has a line in
//! Kamailio's log, and costs nobody else anything.

use std::fs;
use std::time::Duration;

use e2e::callers::{Callers, State, password};
use e2e::failure::{Result, ensure};
use e2e::fleet::Fleet;
use e2e::lab::Lab;
use e2e::sip::Message;

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn a_wrong_password_is_logged_with_its_user_and_others_call() -> Result {
    let fleet = Fleet::start("fleet-password")?;
    let mut wrong = Callers::connect(fleet.kamailio.port(), 1001..1002, |_| "wrong".to_owned())?;
    let mut right = Callers::connect(fleet.kamailio.port(), 1002..1004, password)?;
    ensure(statuses(&mut wrong)? == [401], || "a wrong password was taken".to_owned())?;
    fleet
        .kamailio
        .until_logged("REGISTER of sip:1001@localhost from 127.0.0.1: wrong password or unknown user", LINE)?;
    wrong.place(1, "mirror")?;
    wrong.settle(PATIENCE)?;
    ensure(wrong.failures().len() == 1, || "a wrong password may call".to_owned())?;
    fleet.kamailio.until_logged("INVITE of sip:1001@localhost from 127.0.0.1: wrong password or unknown user", LINE)?;
    ensure(statuses(&mut right)? == [200, 200], || "others cannot register".to_owned())?;
    calls(&mut right, 2)?;
    fleet.kamailio.until_registered(2, Duration::ZERO)
}

#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn without_a_database_those_who_were_here_go_on_and_others_are_told_to_come_again() -> Result {
    let fleet = Fleet::start("fleet-database")?;
    let mut known = Callers::connect(fleet.kamailio.port(), 1001..1004, password)?;
    let mut new = Callers::connect(fleet.kamailio.port(), 1004..1005, password)?;
    ensure(statuses(&mut known)? == [200; 3], || "users cannot register".to_owned())?;
    let database = fleet.kamailio.database();
    let kept = fs::read(&database)?;
    // As a disk that has lost it: Kamailio has the file open.
    fs::write(&database, [])?;

    calls(&mut known, 3)?;
    fleet.kamailio.until_logged("the database cannot be read: 1001 is known from before and may go on", LINE)?;
    ensure(statuses(&mut known)? == [200; 3], || "users cannot register again".to_owned())?;
    let refusals = new.register(10)?;
    let again = |(refusal, _): &(Message, Duration)| (refusal.status(), refusal.header("retry-after").to_owned());
    let refusals: Vec<_> = refusals.iter().map(again).collect();
    ensure(refusals == [(Some(503), "30".to_owned())], || format!("a new user got {refusals:?}"))?;
    fleet.kamailio.until_logged("the database cannot be read: REGISTER of sip:1004@localhost is refused", LINE)?;
    fleet.kamailio.until_registered(3, Duration::ZERO)?;

    fs::write(&database, kept)?;
    ensure(statuses(&mut new)? == [200], || "a new user cannot register when the database is back".to_owned())?;
    calls(&mut new, 1)?;
    fleet.kamailio.until_registered(4, Duration::ZERO)
}

/// A node that stands still for two seconds, three times, as one on a machine that is short of memory or moves.
#[test]
#[cfg_attr(not(all(asterisk, kamailio)), ignore = "there is no Kamailio, or ASTERISK_PREFIX names no Asterisk")]
fn a_node_that_comes_and_goes_is_logged_each_time_and_loses_no_call() -> Result {
    let fleet = Fleet::start("fleet-flaps")?;
    let mut callers = Callers::connect(fleet.kamailio.port(), 1001..1021, password)?;
    ensure(statuses(&mut callers)? == [200; 20], || "users cannot register".to_owned())?;
    callers.place(8, "mirror")?;
    callers.settle(PATIENCE)?;
    let node = &fleet.nodes[0];
    let lines = |text: &str| -> Result<usize> {
        Ok(fleet.kamailio.log()?.matches(&format!("{}{text}", address(node))).count())
    };
    for _ in 0..3 {
        let (gone, back) = (" does not answer: it gets no calls", " answers: it gets calls again");
        let (were_gone, were_back) = (lines(gone)?, lines(back)?);
        let stopped = Stopped::start(node)?;
        until(&mut callers, || Ok(lines(gone)? > were_gone))?;
        drop(stopped);
        until(&mut callers, || Ok(lines(back)? > were_back))?;
    }
    callers.finish(PATIENCE)?;
    // It has fewer calls than the other one, so that the next are its own.
    callers.place(4, "mirror")?;
    callers.settle(PATIENCE)?;
    callers.end_all(PATIENCE)?;
    // A BYE that waited too long for the node has 408; the node takes it when it goes on.
    let is_lost = |state: &State| matches!(state, State::Failed(why) if why != "408 to BYE");
    let lost: Vec<_> = callers.calls().iter().filter(|call| is_lost(&call.state)).collect();
    println!("{} calls, {} lost", callers.calls().len(), lost.len());
    ensure(lost.is_empty(), || format!("calls were lost: {lost:?}"))?;
    let others = callers.calls().iter().filter(|call| call.node() == Some(node.ports().sip)).count();
    ensure(others > 4, || "the node got no call again".to_owned())?;
    fleet.kamailio.until_registered(20, Duration::ZERO)
}

/// The longest wait for a line in the log.
const LINE: Duration = Duration::from_secs(5);

/// The longest wait for calls.
const PATIENCE: Duration = Duration::from_secs(20);

fn statuses(callers: &mut Callers) -> Result<Vec<u16>> {
    Ok(callers.register(20)?.iter().filter_map(|(response, _)| response.status()).collect())
}

/// Places calls that have to be answered, and ends them.
fn calls(callers: &mut Callers, count: usize) -> Result {
    let before = callers.calls().len();
    callers.place(count, "mirror")?;
    callers.settle(PATIENCE)?;
    callers.end_all(PATIENCE)?;
    let lost: Vec<_> = callers.calls()[before..].iter().filter(|call| call.state != State::Ended).collect();
    ensure(lost.is_empty(), || format!("calls were lost: {lost:?}"))
}

/// Places three short calls a second until this holds.
fn until(callers: &mut Callers, holds: impl Fn() -> Result<bool>) -> Result {
    for _ in 0..75 {
        if holds()? {
            return Ok(());
        }
        callers.load(3, "mirror", Duration::from_millis(500), Duration::from_millis(200))?;
    }
    ensure(false, || "Kamailio's log lacks a line".to_owned())
}

fn address(node: &Lab) -> String {
    format!("node sip:127.0.0.1:{}", node.ports().sip)
}

/// A node that stands still until drop.
struct Stopped(libc::pid_t);

impl Stopped {
    fn start(node: &Lab) -> Result<Self> {
        let pid = node.asterisk().pid() as libc::pid_t;
        // SAFETY: signals a process of this test, which has not been waited for.
        ensure(unsafe { libc::kill(pid, libc::SIGSTOP) } == 0, || "the node could not be stopped".to_owned())?;
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: as above; a node outlives this.
        unsafe { libc::kill(self.0, libc::SIGCONT) };
    }
}
