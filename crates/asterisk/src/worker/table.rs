//! The tasks and deadlines of a worker, and whether its thread sleeps. No I/O and no clock: the caller passes the time in,
//! and wakes the thread when it is told to.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Id;

#[derive(Debug)]
pub(super) struct Table<T> {
    tasks: HashMap<Id, Entry<T>>,
    /// The deadlines of `tasks`, and void ones: an entry counts while its task has that deadline. Taking an entry out of the
    /// middle would cost more than a packet may.
    deadlines: BinaryHeap<Reverse<Due>>,
    idle_after: Option<Duration>,
    /// When the thread will have been without a task for `idle_after`.
    idle_at: Option<Instant>,
    sleep: Sleep,
}

/// A deadline that has come, and whose it is.
pub(super) type Due = (Instant, Id);

#[derive(Debug)]
struct Entry<T> {
    task: Arc<T>,
    deadline: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Sleep {
    /// The thread works, or has been woken: it looks at the table before it sleeps again.
    Awake,
    /// The thread sleeps until then; `None` is until a descriptor is ready.
    Until(Option<Instant>),
}

impl<T> Table<T> {
    pub(super) fn new(idle_after: Option<Duration>) -> Self {
        Self { tasks: HashMap::new(), deadlines: BinaryHeap::new(), idle_after, idle_at: None, sleep: Sleep::Awake }
    }

    /// Returns the task that had this id, for the caller to drop with the table unlocked.
    pub(super) fn insert(&mut self, id: Id, task: Arc<T>) -> Option<Arc<T>> {
        self.idle_at = None;
        self.tasks.insert(id, Entry { task, deadline: None }).map(|replaced| replaced.task)
    }

    /// Returns the task, for the caller to drop with the table unlocked, and whether the thread has to be woken.
    pub(super) fn remove(&mut self, id: Id, now: impl FnOnce() -> Instant) -> (Option<Arc<T>>, bool) {
        let Some(Entry { task, .. }) = self.tasks.remove(&id) else { return (None, false) };
        let idle_after = self.idle_after.filter(|_| self.tasks.is_empty());
        let wake = idle_after.is_some_and(|after| {
            let at = now() + after;
            self.idle_at = Some(at);
            self.wake_for(at)
        });
        (Some(task), wake)
    }

    /// Moves the deadline of a task to `deadline` if that is earlier. Returns whether the thread has to be woken.
    pub(super) fn schedule(&mut self, id: Id, deadline: Instant) -> bool {
        let Some(entry) = self.tasks.get_mut(&id) else { return false };
        if entry.deadline.is_some_and(|earlier| earlier <= deadline) {
            return false;
        }
        entry.deadline = Some(deadline);
        self.deadlines.push(Reverse((deadline, id)));
        self.drop_void_deadlines();
        self.wake_for(deadline)
    }

    /// The thread sleeps from now on, until the moment that this returns; `None` is until a descriptor is ready.
    pub(super) fn fall_asleep(&mut self) -> Option<Instant> {
        while self.deadlines.peek().is_some_and(|Reverse(due)| !is_valid(&self.tasks, due)) {
            self.deadlines.pop();
        }
        let deadline = self.deadlines.peek().map(|Reverse((deadline, _))| *deadline);
        let until = deadline.into_iter().chain(self.idle_at).min();
        self.sleep = Sleep::Until(until);
        until
    }

    /// The thread works from now on.
    pub(super) fn wake_up(&mut self) {
        self.sleep = Sleep::Awake;
    }

    /// Appends the deadlines that have come to `due`, earliest first. [`Self::take`] says which of them count by then.
    pub(super) fn take_due(&mut self, now: Instant, due: &mut Vec<Due>) {
        while let Some(Reverse(first)) = self.deadlines.peek().filter(|Reverse((deadline, _))| *deadline <= now) {
            due.push(*first);
            self.deadlines.pop();
        }
    }

    /// The task whose deadline this is, unless it has been removed or the deadline has moved. It has no deadline any more.
    pub(super) fn take(&mut self, due: Due) -> Option<Arc<T>> {
        let (deadline, id) = due;
        let entry = self.tasks.get_mut(&id)?;
        entry.deadline.take_if(|its| *its == deadline)?;
        Some(Arc::clone(&entry.task))
    }

    /// Whether the thread has been idle for long enough. Says so once.
    pub(super) fn take_idle(&mut self, now: Instant) -> bool {
        self.idle_at.take_if(|at| *at <= now).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn get(&self, id: Id) -> Option<Arc<T>> {
        self.tasks.get(&id).map(|entry| Arc::clone(&entry.task))
    }

    /// Oldest first.
    pub(super) fn all(&self) -> Vec<Arc<T>> {
        let mut all: Vec<_> = self.tasks.iter().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        all.into_iter().map(|(_, entry)| Arc::clone(&entry.task)).collect()
    }

    /// Keeps void deadlines from piling up behind one that is far away.
    fn drop_void_deadlines(&mut self) {
        if self.deadlines.len() > 2 * self.tasks.len() + FEW {
            self.deadlines.clear();
            self.deadlines.extend(self.tasks.iter().filter_map(|(id, entry)| Some(Reverse((entry.deadline?, *id)))));
        }
    }

    /// Whether the thread would sleep past `deadline`. It counts as woken then, so that nobody wakes it twice.
    fn wake_for(&mut self, deadline: Instant) -> bool {
        let Sleep::Until(until) = self.sleep else { return false };
        let wake = until.is_none_or(|until| deadline < until);
        if wake {
            self.sleep = Sleep::Awake;
        }
        wake
    }
}

fn is_valid<T>(tasks: &HashMap<Id, Entry<T>>, (deadline, id): &Due) -> bool {
    tasks.get(id).is_some_and(|entry| entry.deadline == Some(*deadline))
}

/// So many void deadlines are not worth looking for.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn with_tasks(ids: impl IntoIterator<Item = Id>) -> (Table<Id>, Instant) {
        let mut table = Table::new(None);
        for id in ids {
            assert!(table.insert(id, Arc::new(id)).is_none());
        }
        (table, Instant::now())
    }

    fn due(table: &mut Table<Id>, now: Instant) -> Vec<Id> {
        let mut due = Vec::new();
        table.take_due(now, &mut due);
        due.into_iter().filter_map(|due| table.take(due)).map(|task| *task).collect()
    }

    #[test]
    fn deadlines_come_in_their_order_and_once() {
        let (mut table, start) = with_tasks([1, 2, 3, 4]);
        table.schedule(1, start + 30 * MS);
        table.schedule(2, start + 10 * MS);
        table.schedule(3, start + 20 * MS);
        table.schedule(4, start + 10 * MS);
        assert_eq!(table.fall_asleep(), Some(start + 10 * MS));
        assert_eq!(due(&mut table, start + 9 * MS), []);
        assert_eq!(due(&mut table, start + 20 * MS), [2, 4, 3]);
        assert_eq!(table.fall_asleep(), Some(start + 30 * MS));
        assert_eq!(due(&mut table, start + 40 * MS), [1]);
        assert_eq!(due(&mut table, start + 40 * MS), []);
        assert_eq!(table.fall_asleep(), None);
    }

    #[test]
    fn a_task_has_its_earliest_deadline_and_no_other() {
        let (mut table, start) = with_tasks([1]);
        table.schedule(1, start + 20 * MS);
        table.schedule(1, start + 30 * MS);
        assert_eq!(table.fall_asleep(), Some(start + 20 * MS));
        table.schedule(1, start + 10 * MS);
        assert_eq!(table.fall_asleep(), Some(start + 10 * MS));
        assert_eq!(due(&mut table, start + 60 * MS), [1]);
        table.schedule(1, start + 50 * MS);
        assert_eq!(table.fall_asleep(), Some(start + 50 * MS), "after it came, a later one is news");
    }

    #[test]
    fn the_thread_is_woken_only_when_it_would_oversleep_and_only_once() {
        let (mut table, start) = with_tasks([1, 2, 3]);
        assert!(!table.schedule(1, start + 20 * MS), "it works, and looks before it sleeps");
        table.fall_asleep();
        assert!(!table.schedule(2, start + 30 * MS), "it wakes earlier");
        assert!(table.schedule(2, start + 10 * MS), "it would oversleep");
        assert!(!table.schedule(3, start + 5 * MS), "it is awake by now");
        assert_eq!(table.fall_asleep(), Some(start + 5 * MS));
        table.wake_up();
        assert!(!table.schedule(1, start), "it works");
    }

    #[test]
    fn a_thread_that_waits_for_descriptors_alone_is_woken_by_any_deadline() {
        let (mut table, start) = with_tasks([1]);
        assert_eq!(table.fall_asleep(), None);
        assert!(table.schedule(1, start + 3600 * 1000 * MS));
    }

    #[test]
    fn a_removed_task_has_no_deadline_and_gets_none() {
        let (mut table, start) = with_tasks([1, 2]);
        table.schedule(1, start);
        table.schedule(2, start + MS);
        let (task, wake) = table.remove(1, || start);
        assert_eq!((task.as_deref(), wake), (Some(&1), false));
        assert!(!table.schedule(1, start));
        assert_eq!(table.fall_asleep(), Some(start + MS));
        assert!(!table.schedule(1, start), "nobody is woken for it");
        assert_eq!(due(&mut table, start + MS), [2]);
        assert!(table.remove(1, || start).0.is_none());
        assert_eq!((table.len(), table.get(1), table.all()), (1, None, vec![Arc::new(2)]));
    }

    #[test]
    fn a_task_being_served_is_due_again_only_when_it_asks() {
        let (mut table, start) = with_tasks([1]);
        table.schedule(1, start + 5 * MS);
        table.schedule(1, start);
        assert_eq!(due(&mut table, start), [1]);
        table.schedule(1, start + 5 * MS);
        assert_eq!(due(&mut table, start + 9 * MS), [1], "once, though it was set twice");
    }

    #[test]
    fn what_happens_to_a_task_between_its_deadline_and_its_turn_is_respected() {
        let (mut table, start) = with_tasks([1, 2, 3]);
        (1..=3).for_each(|id| assert!(!table.schedule(id, start)));
        let mut due = Vec::new();
        table.take_due(start, &mut due);
        assert_eq!(due, [(start, 1), (start, 2), (start, 3)]);
        table.remove(1, || start);
        table.schedule(2, start - MS);
        table.schedule(3, start + MS);
        let served: Vec<_> = due.into_iter().filter_map(|due| table.take(due)).map(|task| *task).collect();
        assert_eq!(served, [3], "removed; moved; about to be served anyway");
        assert_eq!(self::due(&mut table, start), [2]);
    }

    #[test]
    fn void_deadlines_wake_nobody_and_do_not_pile_up() {
        let (mut table, start) = with_tasks([1]);
        table.schedule(1, start);
        for id in 2..10_000 {
            table.insert(id, Arc::new(id));
            table.schedule(id, start + MS);
            table.schedule(id, start);
            table.remove(id, || start);
            assert!(table.deadlines.len() <= 70, "{}", table.deadlines.len());
        }
        table.insert(2, Arc::new(2));
        for n in 1..200 {
            // Back to the same far one, each time that an earlier one has come.
            table.schedule(2, start + 1000 * MS);
            table.schedule(2, start - MS);
            assert_eq!(due(&mut table, start - MS), [2], "round {n}");
            assert!(table.deadlines.len() <= 70, "{}", table.deadlines.len());
        }
        table.remove(2, || start);
        assert_eq!(due(&mut table, start + MS), [1]);
        table.insert(2, Arc::new(2));
        table.schedule(2, start);
        table.remove(2, || start);
        assert_eq!(table.fall_asleep(), None);
    }

    #[test]
    fn a_task_in_the_place_of_another_does_not_inherit_its_deadline() {
        let (mut table, start) = with_tasks([1]);
        table.schedule(1, start);
        assert_eq!(table.insert(1, Arc::new(100)).as_deref(), Some(&1));
        assert_eq!(table.fall_asleep(), None);
    }

    #[test]
    fn idleness_is_counted_from_the_last_task_and_ends_with_the_next_one() {
        let start = Instant::now();
        let mut table = Table::new(Some(20 * MS));
        assert_eq!(table.fall_asleep(), None, "nothing has been used yet");
        table.insert(1, Arc::new(1));
        table.insert(2, Arc::new(2));
        assert!(!table.remove(1, || start).1);
        assert!(table.remove(2, || start).1, "it sleeps for ever");
        assert!(!table.remove(2, || start + MS).1, "it is gone already");
        assert_eq!(table.fall_asleep(), Some(start + 20 * MS));
        assert!(!table.take_idle(start + 19 * MS));
        assert!(table.take_idle(start + 20 * MS));
        assert!(!table.take_idle(start + 99 * MS));

        table.insert(3, Arc::new(3));
        assert!(table.fall_asleep().is_none() && table.remove(3, || start).1);
        table.insert(4, Arc::new(4));
        assert!(!table.take_idle(start + 99 * MS), "there is one again");
    }
}
