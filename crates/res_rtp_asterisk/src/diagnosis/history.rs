//! The calls that have ended: the last 100 for `rtp show history`, and a line of JSON each for `calllog` of `rtp.conf`.
//!
//! A thread of its own reads the account's settings and writes the file, so that no call waits for either.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use asterisk::fence::fence;
use asterisk::limit::{RateLimit, SharedLimit};
use asterisk::lock;
use asterisk::thread::{self, JoinHandle};

use super::dialog::{Dialog, Named};
use super::story::Told;

/// The calls that have ended, and the thread that looks after them.
#[derive(Default)]
pub struct History {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Signalled when there is a call, or the thread has to end.
    news: Condvar,
    ended: Mutex<VecDeque<Ended>>,
    log: Mutex<Log>,
    /// Whether reports are kept (`callreport`).
    has_reports: AtomicBool,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<(SystemTime, Told)>,
    left_out: u64,
    is_stopped: bool,
}

/// A call that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The time of day.
    pub at: SystemTime,
    /// One line.
    pub line: String,
    /// The story in words.
    pub text: String,
    /// The names that the call is found by: its port, its Call-ID, its channel.
    pub names: Vec<String>,
    /// The call, for its JSON.
    pub told: Arc<Told>,
    /// Whether it was refused before there was a session ([`Told::is_refused`]).
    is_refused: bool,
    /// The identifiers of the call and its report, if there are reports.
    report: Option<(Dialog, Arc<str>)>,
}

impl History {
    /// Sets the file that a line is written to for each call, `None` for no file, and whether the reports of calls are kept.
    pub fn configure(&self, path: Option<&str>, has_reports: bool) {
        self.shared.has_reports.store(has_reports, Ordering::Relaxed);
        *lock(&self.shared.log) = Log { path: path.map(PathBuf::from), file: None };
    }

    /// Starts the thread. Without it, calls that have ended are not kept.
    pub fn start(&self) {
        let shared = Arc::clone(&self.shared);
        match thread::spawn(c"rtp-history", move || shared.run()) {
            Ok(thread) => *lock(&self.thread) = Some(thread),
            Err(error) => {
                lock(&self.shared.queue).is_stopped = true;
                asterisk::error!("RTP: no thread for the history of calls: {error}");
            }
        }
    }

    /// Adds a call that has ended. Returns at once.
    pub fn add(&self, told: Told) {
        let mut queue = lock(&self.shared.queue);
        if queue.is_stopped {
            return;
        }
        if queue.calls.len() == MOST_WAITING || told.is_refused() && !may_be_told(&told) {
            queue.left_out += 1;
            return;
        }
        queue.calls.push_back((SystemTime::now(), told));
        drop(queue);
        self.shared.news.notify_one();
    }

    /// Returns the calls that have ended, oldest first.
    pub fn all(&self) -> Vec<Ended> {
        lock(&self.shared.ended).iter().cloned().collect()
    }

    /// Returns the report of the call whose identifiers are all named. Looks at all calls, so that the time does not tell which there are.
    pub fn report(&self, named: Named<'_>) -> Option<Arc<str>> {
        let ended = lock(&self.shared.ended);
        let reports = ended.iter().filter_map(|ended| ended.report.as_ref());
        reports.fold(None, |found, (dialog, report)| if dialog.is(named) { Some(Arc::clone(report)) } else { found })
    }

    /// Returns how many calls have ended that are not kept, because too many waited for the thread or were refused.
    pub fn left_out(&self) -> u64 {
        lock(&self.shared.queue).left_out
    }

    /// Stops the thread, after it has written what waits.
    pub fn stop(&self) {
        lock(&self.shared.queue).is_stopped = true;
        self.shared.news.notify_all();
        let thread = lock(&self.thread).take();
        drop(thread);
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn run(&self) {
        while let Some((at, told)) = self.next() {
            fence("the history of calls", (), || self.take(at, told));
        }
    }

    fn next(&self) -> Option<(SystemTime, Told)> {
        let queue = lock(&self.queue);
        let waits = |queue: &mut Queue| queue.calls.is_empty() && !queue.is_stopped;
        let mut queue = self.news.wait_while(queue, waits).unwrap_or_else(PoisonError::into_inner);
        queue.calls.pop_front()
    }

    fn take(&self, at: SystemTime, mut told: Told) {
        told.look_up();
        let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        lock(&self.log).write(|| told.json(since_1970));
        let dialog = told.dialog.clone().filter(|_| self.has_reports.load(Ordering::Relaxed));
        let report = dialog.map(|dialog| (dialog, told.report(since_1970).into()));
        let (line, text, names, is_refused) = (told.line(), told.text(), told.names(), told.is_refused());
        let ended = Ended { at, line, text, names, told: Arc::new(told), is_refused, report };
        keep(&mut lock(&self.ended), ended);
    }
}

/// Adds a call, in the place of the oldest of its kind if there are too many. Refused ones are a kind of their own, so that who has no
/// password cannot have calls forgotten.
fn keep(all: &mut VecDeque<Ended>, ended: Ended) {
    let most = if ended.is_refused { MOST_REFUSED } else { MOST_ENDED };
    let is_alike = |kept: &Ended| kept.is_refused == ended.is_refused;
    if all.iter().filter(|kept| is_alike(kept)).count() >= most {
        let oldest = all.iter().position(is_alike);
        oldest.and_then(|place| all.remove(place));
    }
    all.push_back(ended);
}

/// Returns whether a refused call is told, which costs a look into the accounts' file and a line of `calllog`.
fn may_be_told(told: &Told) -> bool {
    let from = told.client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip());
    REFUSED.allow(from).is_some()
}

/// Limits refused calls, for all and for each address.
static REFUSED: SharedLimit<IpAddr, 30> = SharedLimit::new(Duration::from_secs(60), 10);

/// The file of `calllog`.
#[derive(Debug, Default)]
struct Log {
    path: Option<PathBuf>,
    /// The open file with its device and inode.
    file: Option<(File, (u64, u64))>,
}

impl Log {
    /// Appends a line, which is made if there is a file. Opens the file again if it has been renamed or removed, as `logger rotate` and logrotate do.
    fn write(&mut self, line: impl FnOnce() -> String) {
        let Some(path) = self.path.clone() else { return };
        if let Err(error) = self.append(&path, &line()) {
            self.file = None;
            if TROUBLE.allow().is_some() {
                asterisk::error!("RTP: calllog = {}: a call is not logged: {error}", path.display());
            }
        }
    }

    fn append(&mut self, path: &Path, line: &str) -> io::Result<()> {
        let now = std::fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        if self.file.as_ref().map(|(_, known)| *known) != now || now.is_none() {
            let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
            let of = file.metadata()?;
            self.file = Some((file, (of.dev(), of.ino())));
        }
        match &mut self.file {
            // One write, so that lines of several writers do not mix.
            Some((file, _)) => file.write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        }
    }
}

static TROUBLE: RateLimit = RateLimit::new(Duration::from_secs(60), 1);

/// Most calls that are kept, beside those that were refused before there was a session.
const MOST_ENDED: usize = 100;

/// Most calls and registrations that were refused before there was a session.
const MOST_REFUSED: usize = 25;

/// Most calls that wait for the thread. A disk that does not answer costs lines, not memory.
const MOST_WAITING: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_takes_the_place_of_no_call() {
        let ended = |number: usize, is_refused| Ended {
            at: SystemTime::UNIX_EPOCH,
            line: number.to_string(),
            text: String::new(),
            names: Vec::new(),
            told: Arc::default(),
            is_refused,
            report: None,
        };
        let mut all = VecDeque::new();
        (0..MOST_ENDED).for_each(|number| keep(&mut all, ended(number, false)));
        (0..1000).for_each(|number| keep(&mut all, ended(number, true)));
        assert_eq!((all.len(), all[0].line.as_str()), (MOST_ENDED + MOST_REFUSED, "0"));
        keep(&mut all, ended(100, false));
        assert_eq!((all[0].line.as_str(), all[99].line.as_str(), all[124].line.as_str()), ("1", "975", "100"));
    }

    #[test]
    fn the_file_is_opened_again_after_a_rotation() {
        let directory = std::env::temp_dir().join(format!("calllog-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (path, rotated) = (directory.join("calls"), directory.join("calls.1"));
        let mut log = Log { path: Some(path.clone()), file: None };
        log.write(|| "1".to_owned());
        std::fs::rename(&path, &rotated).unwrap();
        log.write(|| "2".to_owned());
        log.write(|| "3".to_owned());
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&rotated).as_str(), read(&path).as_str()), ("1\n", "2\n3\n"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
