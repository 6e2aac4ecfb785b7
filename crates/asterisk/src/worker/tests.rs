//! The thread with real descriptors. `table` has the tests that need none.
#![allow(clippy::disallowed_types, reason = "a test's own process")]

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// One thing that the thread did with a task.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Ready(Id, Tag),
    Timeout(Id),
    Panic(Id),
    Dropped(Id),
}

/// Tells of each call, then does what the test wants of it.
struct Probe {
    id: Id,
    calls: Sender<Call>,
    body: Box<dyn Fn(&Call) + Send + Sync>,
}

impl Probe {
    fn tell(&self, call: Call) {
        (self.body)(&call);
        let _ = self.calls.send(call);
    }
}

impl Task for Probe {
    fn handle_ready(&self, _now: Instant, tag: Tag) {
        self.tell(Call::Ready(self.id, tag));
    }

    fn handle_timeout(&self, now: Instant) {
        assert!(now <= Instant::now());
        self.tell(Call::Timeout(self.id));
    }

    fn handle_panic(&self) {
        self.tell(Call::Panic(self.id));
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.calls.send(Call::Dropped(self.id));
    }
}

struct Bench {
    worker: Worker<Probe>,
    to: Sender<Call>,
    calls: Receiver<Call>,
}

impl Bench {
    fn new() -> Self {
        Self::with(None)
    }

    fn with(when_idle: Option<WhenIdle>) -> Self {
        Self::of(Worker::start(c"test-worker", when_idle).unwrap())
    }

    fn of(worker: Worker<Probe>) -> Self {
        let (to, calls) = channel();
        Self { worker, to, calls }
    }

    fn tasks(&self) -> &Arc<Tasks<Probe>> {
        self.worker.tasks()
    }

    /// Adds a task that only tells.
    fn add(&self) -> Id {
        self.add_with(|_, _| {})
    }

    fn add_with(&self, body: impl Fn(&Tasks<Probe>, &Call) + Send + Sync + 'static) -> Id {
        let (id, tasks) = (self.tasks().next_id(), Arc::clone(self.tasks()));
        let body = Box::new(move |call: &Call| body(&tasks, call));
        self.tasks().add(id, Arc::new(Probe { id, calls: self.to.clone(), body }));
        id
    }

    fn next(&self) -> Call {
        self.calls.recv_timeout(Duration::from_secs(10)).expect("the thread calls")
    }

    fn is_quiet(&self) -> bool {
        self.calls.recv_timeout(Duration::from_millis(50)).is_err()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The tasks hold the table that holds them, as sessions do, which are removed before the worker stops.
        self.tasks().all().iter().for_each(|task| self.tasks().remove(task.id));
    }
}

/// Waits for as long as the slowest machine may take.
fn comes_true(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    condition()
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_thread_with_pauses_sleeps_after_each_turn() {
    const PAUSE: Duration = Duration::from_millis(60);
    let bench = Bench::of(Worker::start_with(c"test-worker", None, PAUSE).unwrap());
    let streams = [pair(), pair()];
    let tasks = streams.each_ref().map(|(ours, _)| {
        let fd = ours.as_raw_fd();
        let id = bench.add_with(move |tasks, _| tasks.forget(fd));
        bench.tasks().watch(id, 0, fd).unwrap();
        id
    });
    let begin = Instant::now();
    for (id, (_, theirs)) in tasks.into_iter().zip(&streams) {
        (&*theirs).write_all(b"x").unwrap();
        assert_eq!(bench.next(), Call::Ready(id, 0));
    }
    assert!(begin.elapsed() >= PAUSE);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn deadlines_are_served_in_their_order_whatever_they_were_set_in() {
    let bench = Bench::new();
    let (first, second, third) = (bench.add(), bench.add(), bench.add());
    let start = Instant::now();
    bench.tasks().schedule(first, start + Duration::from_millis(60));
    bench.tasks().schedule(second, start + Duration::from_millis(20));
    bench.tasks().schedule(third, start + Duration::from_millis(40));
    assert_eq!([bench.next(), bench.next()], [Call::Timeout(second), Call::Timeout(third)]);
    assert_eq!(bench.next(), Call::Timeout(first));
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert!(bench.is_quiet());
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn an_earlier_deadline_wakes_the_thread_that_sleeps_for_a_later_one() {
    let bench = Bench::new();
    let (late, early) = (bench.add(), bench.add());
    bench.tasks().schedule(late, Instant::now() + Duration::from_secs(3600));
    assert!(bench.is_quiet(), "it sleeps");
    bench.tasks().schedule(early, Instant::now() + Duration::from_millis(10));
    assert_eq!(bench.next(), Call::Timeout(early));
    assert!(bench.is_quiet(), "it sleeps");
    bench.tasks().schedule(late, Instant::now());
    assert_eq!(bench.next(), Call::Timeout(late), "its own one moved");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_deadline_from_inside_a_task_is_served() {
    let bench = Bench::new();
    let id = bench.add_with(|tasks, call| {
        if let Call::Timeout(id) = call {
            tasks.schedule(*id, Instant::now());
        }
    });
    let (socket, mut peer) = pair();
    let other = bench.add();
    bench.tasks().watch(other, 0, socket.as_raw_fd()).unwrap();
    bench.tasks().schedule(id, Instant::now());
    assert_eq!([bench.next(), bench.next()], [Call::Timeout(id), Call::Timeout(id)]);
    peer.write_all(b"x").unwrap();
    let found = std::iter::from_fn(|| Some(bench.next())).take(1_000_000).find(|call| *call == Call::Ready(other, 0));
    assert!(found.is_some(), "a task that is always due starves nobody");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn descriptors_of_a_task_are_told_apart_and_reported_while_they_are_readable() {
    let bench = Bench::new();
    let (rtp, mut to_rtp) = pair();
    let (rtcp, mut to_rtcp) = pair();
    let id = bench.add_with({
        let sockets = [rtp.as_raw_fd(), rtcp.as_raw_fd()];
        let reports = AtomicUsize::new(0);
        move |tasks, call| {
            // Reported again and again, because nobody reads: until the third time.
            if let Call::Ready(_, tag) = call
                && reports.fetch_add(1, Ordering::Relaxed) % 3 == 2
            {
                tasks.forget(sockets[usize::from(*tag)]);
            }
        }
    });
    for (tag, socket) in [(0, &rtp), (1, &rtcp)] {
        bench.tasks().watch(id, tag, socket.as_raw_fd()).unwrap();
    }
    assert!(bench.is_quiet());
    for (tag, peer) in [(1, &mut to_rtcp), (0, &mut to_rtp)] {
        peer.write_all(b"x").unwrap();
        (0..3).for_each(|_| assert_eq!(bench.next(), Call::Ready(id, tag)));
        assert!(bench.is_quiet());
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_one_shot_reports_once_and_again_when_it_is_asked_again() {
    let bench = Bench::new();
    let (socket, mut peer) = pair();
    let (fd, tasks) = (socket.as_raw_fd(), bench.tasks());
    let id = bench.add();
    let mut once = OneShot::new(id, 7);
    once.ask(tasks, fd, Interest::Nothing).unwrap();
    peer.write_all(b"x").unwrap();
    assert!(bench.is_quiet(), "nobody has asked");
    for interest in [Interest::Read, Interest::Write, Interest::ReadWrite, Interest::Read] {
        once.ask(tasks, fd, interest).unwrap();
        assert_eq!(bench.next(), Call::Ready(id, 7));
        assert!(bench.is_quiet(), "{interest:?} is reported once");
        once.reported();
    }
    once.ask(tasks, fd, Interest::Read).unwrap();
    assert_eq!(bench.next(), Call::Ready(id, 7));
    once.ask(tasks, fd, Interest::Read).unwrap();
    assert!(bench.is_quiet(), "not noted as reported, so still asked for");
    once.forget(tasks, fd);
    once.reported();
    once.ask(tasks, fd, Interest::Read).unwrap();
    assert_eq!(bench.next(), Call::Ready(id, 7), "in the set again");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_timer_that_moves_later_leaves_the_table_alone() {
    let bench = Bench::new();
    let (id, tasks, start) = (bench.add(), bench.tasks(), Instant::now());
    let mut timer = Timer::default();
    timer.set(tasks, id, start + Duration::from_millis(30));
    let locked = tasks.table();
    timer.set(tasks, id, start + Duration::from_secs(3600));
    drop(locked);
    assert_eq!(bench.next(), Call::Timeout(id), "early, which is harmless");
    timer.fired();
    timer.set(tasks, id, start + Duration::from_secs(3600));
    assert!(bench.is_quiet());
    timer.set(tasks, id, start);
    assert_eq!(bench.next(), Call::Timeout(id));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_task_removed_while_another_is_served_is_not_taken_up() {
    let bench = Bench::new();
    let (socket, mut peer) = pair();
    let victim = bench.add();
    // Both are due in one round, and the remover comes first.
    let remover = bench.add_with(move |tasks, call| {
        if let Call::Timeout(_) = call {
            tasks.remove(victim);
        }
    });
    bench.tasks().watch(victim, 0, socket.as_raw_fd()).unwrap();
    let now = Instant::now();
    let mut table = bench.tasks().table();
    table.schedule(victim, now);
    table.schedule(remover, now - Duration::from_millis(1));
    drop(table);
    bench.tasks().wake.signal();
    assert_eq!(bench.next(), Call::Dropped(victim));
    assert_eq!(bench.next(), Call::Timeout(remover));
    peer.write_all(b"x").unwrap();
    bench.tasks().schedule(victim, now);
    bench.tasks().forget(socket.as_raw_fd());
    assert!(bench.is_quiet());
    assert_eq!(bench.tasks().count(), 1);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_task_that_removes_itself_goes_when_it_has_been_served() {
    let bench = Bench::new();
    let id = bench.add_with(|tasks, call| {
        if let Call::Timeout(id) = call {
            tasks.remove(*id);
            assert_eq!((tasks.count(), tasks.get(*id).is_none()), (0, true));
        }
    });
    bench.tasks().schedule(id, Instant::now());
    assert_eq!([bench.next(), bench.next()], [Call::Timeout(id), Call::Dropped(id)]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_last_reference_may_call_the_worker_while_it_is_dropped() {
    struct Nested(Arc<Tasks<Nested>>);
    impl Task for Nested {
        fn handle_ready(&self, _: Instant, _: Tag) {}
        fn handle_timeout(&self, _: Instant) {}
    }
    impl Drop for Nested {
        fn drop(&mut self) {
            // Locks the table, which would never end if it were locked already.
            self.0.remove(1);
            assert_eq!(self.0.count(), 0);
        }
    }
    let worker = Worker::<Nested>::start(c"test-worker", None).unwrap();
    for _ in 0..2 {
        worker.tasks().add(1, Arc::new(Nested(Arc::clone(worker.tasks()))));
    }
    worker.tasks().remove(1);
    assert_eq!(worker.tasks().count(), 0);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_panic_costs_one_task() {
    let bench = Bench::new();
    let (socket, mut peer) = pair();
    let broken = bench.add_with(|_, _| panic!("of course"));
    let whole = bench.add();
    bench.tasks().watch(broken, 0, socket.as_raw_fd()).unwrap();
    for round in 0..3 {
        peer.write_all(b"x").unwrap();
        bench.tasks().schedule(broken, Instant::now());
        bench.tasks().schedule(whole, Instant::now());
        assert_eq!(bench.next(), Call::Timeout(whole), "round {round}");
    }
    assert_eq!(bench.tasks().count(), 2);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn a_task_is_told_of_its_panic() {
    let bench = Bench::new();
    let id = bench.add_with(|tasks, call| match call {
        Call::Panic(id) => tasks.remove(*id),
        _ => panic!("of course"),
    });
    bench.tasks().schedule(id, Instant::now());
    assert_eq!([bench.next(), bench.next()], [Call::Panic(id), Call::Dropped(id)]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn stopping_waits_for_the_task_that_is_being_served() {
    let bench = Bench::new();
    let (begun, begins) = channel();
    let id = bench.add_with(move |_, call| {
        if let Call::Timeout(_) = call {
            let _ = begun.send(());
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    bench.tasks().schedule(id, Instant::now());
    begins.recv_timeout(Duration::from_secs(10)).unwrap();
    bench.worker.stop();
    assert_eq!(bench.calls.try_recv(), Ok(Call::Timeout(id)));
    bench.worker.stop();
    bench.tasks().schedule(id, Instant::now());
    assert!(bench.is_quiet(), "nobody is left to serve it");
    bench.tasks().remove(id);
    assert_eq!(bench.next(), Call::Dropped(id));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn the_thread_carries_the_name_of_its_module_and_goes_with_the_worker() {
    let is_there = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let mut names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.any(|name| name.trim_end() == "named-worker")
    };
    let worker = Worker::<Probe>::start(c"named-worker", None).unwrap();
    assert!(comes_true(is_there), "a thread names itself, once it runs");
    drop(worker);
    assert!(comes_true(|| !is_there()), "the kernel lists it a little longer than it can be joined");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no pthread_create")]
fn idleness_is_reported_once_after_each_last_task() {
    static IDLE: AtomicUsize = AtomicUsize::new(0);
    let call = || _ = IDLE.fetch_add(1, Ordering::AcqRel);
    let bench = Bench::with(Some(WhenIdle { after: Duration::from_millis(20), call }));
    let idle = || IDLE.load(Ordering::Acquire);
    assert!(bench.is_quiet() && idle() == 0, "nothing has been used yet");
    for round in 1..3 {
        let ids = [bench.add(), bench.add()];
        ids.iter().for_each(|id| bench.tasks().remove(*id));
        assert_eq!(ids.map(|_| bench.next()), ids.map(Call::Dropped));
        assert!(comes_true(|| idle() == round), "round {round}: {}", idle());
        assert!(bench.is_quiet() && idle() == round);
    }
}

#[test]
fn ids_count_upwards_and_tasks_are_listed_by_them() {
    let tasks = Tasks::<Id>::new(c"none", None).unwrap();
    let ids: Vec<_> = (0..20).map(|_| tasks.next_id()).collect();
    assert_eq!(ids, Vec::from_iter(1..=20));
    ids.iter().rev().for_each(|id| tasks.add(*id, Arc::new(*id)));
    assert_eq!(tasks.all().iter().map(|task| **task).collect::<Vec<_>>(), ids);
    assert_eq!((tasks.count(), tasks.get(7).as_deref(), tasks.get(21)), (20, Some(&7), None));
}

#[test]
fn a_token_gives_back_what_it_was_made_of() {
    for (id, tag) in [(1, 0), (1, 255), (2, 1), (u64::MAX >> TAG_BITS, 255)] {
        assert_eq!(from_token(token(id, tag)), (id, tag));
        assert_ne!(token(id, tag), WAKE);
    }
}
