use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::*;

/// Captures are of the whole process, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("capture-{name}-{}", std::process::id()))
}

fn packet() -> Seen<'static> {
    let (from, to) = ("192.0.2.1:5004".parse().unwrap(), "192.0.2.2:4000".parse().unwrap());
    Seen { content: Content::Rtp, direction: Direction::In, from, to, octets: &[0x80; 172] }
}

fn waiting() -> bool {
    let mut batch = ::capture::Batch::default();
    lock(&RUNNING).as_mut().unwrap().queue.take(&mut batch);
    batch.packets().next().is_some()
}

/// A thread that takes a while to complete its file, and says when it has.
fn slow_thread(number: u32, is_complete: &Arc<AtomicBool>) -> JoinHandle {
    let is_complete = Arc::clone(is_complete);
    let is_stopped = || lock(&RUNNING).as_ref().is_some_and(|running| running.is_stopped);
    let body = move || {
        while !is_stopped() {
            std::thread::yield_now();
        }
        end(number);
        std::thread::sleep(Duration::from_millis(300));
        is_complete.store(true, Ordering::SeqCst);
    };
    thread::spawn(c"capture-test", body).unwrap()
}

#[test]
fn everybody_who_ends_a_capture_waits_until_its_file_is_complete() {
    let _turn = lock(&TURN);
    let is_complete = Arc::new(AtomicBool::new(false));
    turn_on(Running { number: 5, choice: Choice::All, queue: Queue::new(1000), is_stopped: false });
    *lock(&THREAD) = Some((slow_thread(5, &is_complete), file("end")));
    let (sender, results) = mpsc::channel();
    let ends = [(); 2].map(|()| {
        let (sender, is_complete) = (sender.clone(), Arc::clone(&is_complete));
        let end = move || sender.send((stop(), is_complete.load(Ordering::SeqCst))).unwrap();
        thread::spawn(c"capture-end", end).unwrap()
    });
    ends.into_iter().for_each(JoinHandle::join);
    let results: Vec<_> = results.try_iter().collect();
    assert!(results.iter().all(|(_, has_waited)| *has_waited), "somebody did not wait");
    assert_eq!(results.iter().filter(|(path, _)| path.is_some()).count(), 1, "one of them has ended it");
    assert!(!is_on() && lock(&THREAD).is_none());
}

#[test]
fn a_capture_is_ended_by_its_own_number_alone() {
    let _turn = lock(&TURN);
    turn_on(Running { number: 7, choice: Choice::All, queue: Queue::new(1000), is_stopped: false });
    assert!(end(6).is_none() && is_on());
    assert!(end(7).is_some() && !is_on() && end(7).is_none());
}

/// As a panic of its thread drops it.
#[test]
fn a_capture_is_over_once_its_writer_is_dropped() {
    let _turn = lock(&TURN);
    let path = file("dropped");
    let writer = writer::Writer::create(8, &path, Limits::default()).unwrap();
    turn_on(Running { number: 8, choice: Choice::All, queue: Queue::new(1000), is_stopped: false });
    drop(writer);
    assert!(!is_on() && lock(&RUNNING).is_none());
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn packets_of_other_calls_take_no_lock() {
    let _turn = lock(&TURN);
    let choice = Choice::Call { ids: Vec::new(), clients: Vec::new() };
    turn_on(Running { number: 9, choice, queue: Queue::new(1000), is_stopped: false });
    let held = lock(&RUNNING);
    take(Mark(8), &packet());
    drop(held);
    assert!(!waiting());
    take(Mark(9), &packet());
    assert!(waiting());
    end(9);
}
