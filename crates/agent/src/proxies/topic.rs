//! Watches that several streams share. Each stream hears of a topic that it has joined, and reads the newest news; what
//! it did not read in time is lost, as newer news took its place.
//!
//! ```text
//! join ──► topic of the key ──► there: share it, and hear what is known
//!               │ none: begin its task                                       task ──► news ──► all mailboxes: "read me"
//! leave ──► the last one ends the task
//! ```

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::DropGuard;

/// The topics that somebody follows. `W` says whose topic it is, `K` what it is about, `T` is the news.
pub(crate) struct Topics<W, K, T> {
    known: Mutex<Known<W, K, T>>,
}

type Known<W, K, T> = HashMap<(W, Arc<K>), Weak<Topic<W, K, T>>>;

/// One topic. Its task ends when nobody follows it any longer.
pub(crate) struct Topic<W, K, T> {
    topics: Arc<Topics<W, K, T>>,
    /// Whose it is and what it is about. All who follow it share that.
    key: (W, Arc<K>),
    inside: Mutex<Inside<K, T>>,
}

struct Inside<K, T> {
    latest: Option<T>,
    /// Nothing comes any more: who joins begins a new topic.
    is_over: bool,
    followers: Vec<Arc<Mailbox<K>>>,
    task: Option<DropGuard>,
}

/// The topics with news for one stream.
pub(crate) struct Mailbox<K> {
    fresh: Mutex<BTreeSet<Arc<K>>>,
    bell: Notify,
}

/// A place among the followers of a topic. Dropping it leaves the topic.
pub(crate) struct Following<W: Eq + Hash, K: Eq + Hash, T> {
    topic: Arc<Topic<W, K, T>>,
    mailbox: Arc<Mailbox<K>>,
}

/// Where the task of a topic tells its news.
pub(crate) struct Teller<W, K, T>(Weak<Topic<W, K, T>>);

/// Nobody follows the topic any longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unheard;

impl<W, K, T> Default for Topics<W, K, T> {
    fn default() -> Self {
        Self { known: Mutex::default() }
    }
}

impl<W, K, T> fmt::Debug for Topics<W, K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("known", &self.known.lock().len()).finish()
    }
}

impl<W: Clone + Eq + Hash, K: Eq + Hash + Ord, T: Clone> Topics<W, K, T> {
    /// Joins a topic. `begin` starts the task of a new one.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: (W, Arc<K>),
        mailbox: &Arc<Mailbox<K>>,
        begin: impl FnOnce(Teller<W, K, T>) -> DropGuard,
    ) -> Following<W, K, T> {
        let mut known = self.known.lock();
        let there = known.get(&key).and_then(Weak::upgrade).filter(|topic| !topic.inside.lock().is_over);
        let topic = there.unwrap_or_else(|| {
            let inside = Inside { latest: None, is_over: false, followers: Vec::new(), task: None };
            let topic =
                Arc::new(Topic { topics: Arc::clone(self), key: key.clone(), inside: Mutex::new(inside) });
            topic.inside.lock().task = Some(begin(Teller(Arc::downgrade(&topic))));
            known.insert(key, Arc::downgrade(&topic));
            topic
        });
        // Still under the lock of all topics, so that the last follower does not end it meanwhile.
        let mut inside = topic.inside.lock();
        inside.followers.push(Arc::clone(mailbox));
        if inside.latest.is_some() {
            mailbox.put(&topic.key.1);
        }
        drop((inside, known));
        Following { topic, mailbox: Arc::clone(mailbox) }
    }
}

impl<W, K: Ord, T> Teller<W, K, T> {
    /// Tells all followers.
    pub(crate) fn tell(&self, news: T) -> Result<(), Unheard> {
        self.put(news, false)
    }

    /// Tells all followers, for the last time.
    pub(crate) fn end(&self, news: T) {
        // If nobody follows, nobody needs to know.
        let _ = self.put(news, true);
    }

    fn put(&self, news: T, is_over: bool) -> Result<(), Unheard> {
        let topic = self.0.upgrade().ok_or(Unheard)?;
        let mut inside = topic.inside.lock();
        inside.latest = Some(news);
        inside.is_over = is_over;
        inside.followers.iter().for_each(|mailbox| mailbox.put(&topic.key.1));
        Ok(())
    }
}

impl<W: Eq + Hash, K: Eq + Hash, T: Clone> Following<W, K, T> {
    /// What the topic is about.
    pub(crate) fn key(&self) -> &Arc<K> {
        &self.topic.key.1
    }

    /// The newest news, if there is any.
    pub(crate) fn latest(&self) -> Option<T> {
        self.topic.inside.lock().latest.clone()
    }
}

impl<W: Eq + Hash, K: Eq + Hash, T> Drop for Following<W, K, T> {
    fn drop(&mut self) {
        let mut known = self.topic.topics.known.lock();
        let mut inside = self.topic.inside.lock();
        if let Some(at) = inside.followers.iter().position(|own| Arc::ptr_eq(own, &self.mailbox)) {
            inside.followers.swap_remove(at);
        }
        if !inside.followers.is_empty() {
            return;
        }
        inside.is_over = true;
        inside.task = None;
        let own = Arc::as_ptr(&self.topic);
        // Another topic may have taken its place.
        if known.get(&self.topic.key).is_some_and(|there| there.as_ptr() == own) {
            known.remove(&self.topic.key);
        }
    }
}

impl<K: Ord> Mailbox<K> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { fresh: Mutex::default(), bell: Notify::new() })
    }

    fn put(&self, key: &Arc<K>) {
        self.fresh.lock().insert(Arc::clone(key));
        self.bell.notify_one();
    }

    /// The next topic with news. Nothing is lost if this is dropped before it completes. One stream waits here.
    pub(crate) async fn next(&self) -> Arc<K> {
        loop {
            if let Some(key) = self.fresh.lock().pop_first() {
                return key;
            }
            self.bell.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;
    use tokio_util::sync::CancellationToken;

    use super::*;

    type Own = Topics<&'static str, u8, usize>;

    struct World {
        topics: Arc<Own>,
        begun: AtomicUsize,
        tellers: Mutex<Vec<Told>>,
    }

    type Told = (Teller<&'static str, u8, usize>, CancellationToken);

    impl World {
        fn new() -> Self {
            Self { topics: Arc::default(), begun: AtomicUsize::new(0), tellers: Mutex::default() }
        }

        fn join(
            &self,
            whose: &'static str,
            what: u8,
            mailbox: &Arc<Mailbox<u8>>,
        ) -> Following<&'static str, u8, usize> {
            self.topics.join((whose, Arc::new(what)), mailbox, |teller| {
                self.begun.fetch_add(1, Ordering::Relaxed);
                let token = CancellationToken::new();
                self.tellers.lock().push((teller, token.clone()));
                token.drop_guard()
            })
        }

        fn tell(&self, at: usize, news: usize) -> Result<(), Unheard> {
            self.tellers.lock()[at].0.tell(news)
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::Relaxed)
        }

        fn is_ended(&self, at: usize) -> bool {
            self.tellers.lock()[at].1.is_cancelled()
        }
    }

    fn next(mailbox: &Mailbox<u8>) -> Option<u8> {
        mailbox.next().now_or_never().map(|key| *key)
    }

    #[test]
    fn who_joins_shares_and_hears_what_is_known() {
        let (world, a, b) = (World::new(), Mailbox::new(), Mailbox::new());
        let first = world.join("x", 1, &a);
        assert_eq!(next(&a), None);
        world.tell(0, 7).unwrap();
        let second = world.join("x", 1, &b);
        assert_eq!(world.begun(), 1);
        assert_eq!((next(&a), next(&b)), (Some(1), Some(1)));
        assert_eq!((first.latest(), second.latest()), (Some(7), Some(7)));
        assert_eq!((next(&a), next(&b)), (None, None));
    }

    #[test]
    fn n_335_a_topic_is_shared_by_nobody_else() {
        let (world, a, b) = (World::new(), Mailbox::new(), Mailbox::new());
        let _first = world.join("x", 1, &a);
        let second = world.join("y", 1, &b);
        world.tell(0, 7).unwrap();
        assert_eq!((next(&b), second.latest()), (None, None));
        assert_eq!(world.begun(), 2);
    }

    #[test]
    fn what_was_not_read_is_replaced() {
        let (world, a) = (World::new(), Mailbox::new());
        let one = world.join("x", 1, &a);
        (0..3).for_each(|news| world.tell(0, news).unwrap());
        assert_eq!((next(&a), one.latest(), next(&a)), (Some(1), Some(2), None));
    }

    #[test]
    fn the_last_one_who_leaves_ends_it() {
        let (world, a, b) = (World::new(), Mailbox::new(), Mailbox::new());
        let (first, second) = (world.join("x", 1, &a), world.join("x", 1, &b));
        drop(first);
        assert!(!world.is_ended(0));
        world.tell(0, 1).unwrap();
        assert_eq!((next(&a), next(&b)), (None, Some(1)));
        drop(second);
        assert!(world.is_ended(0));
        world.tell(0, 2).unwrap_err();
        assert!(world.topics.known.lock().is_empty());
    }

    #[test]
    fn who_joins_what_is_over_begins_anew() {
        let (world, a, b) = (World::new(), Mailbox::new(), Mailbox::new());
        let first = world.join("x", 1, &a);
        world.tellers.lock()[0].0.end(9);
        let second = world.join("x", 1, &b);
        assert_eq!((first.latest(), second.latest(), world.begun()), (Some(9), None, 2));
        drop(first);
        world.tell(1, 3).unwrap();
        assert_eq!((next(&b), second.latest()), (Some(1), Some(3)));
        drop(second);
        assert!(world.topics.known.lock().is_empty());
    }

    #[test]
    fn a_stream_that_joins_twice_leaves_once() {
        let (world, a) = (World::new(), Mailbox::new());
        let (first, second) = (world.join("x", 1, &a), world.join("x", 1, &a));
        drop(first);
        world.tell(0, 1).unwrap();
        assert_eq!((next(&a), second.latest()), (Some(1), Some(1)));
    }
}
