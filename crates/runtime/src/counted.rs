//! Counts things in progress. Each one lowers the counter when it is dropped.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One counted thing: it counts from its creation until it is dropped. It holds the counter as a reference or as an
/// `Arc`.
pub struct Counted<C: Deref<Target = AtomicUsize>>(C);

impl<C: Deref<Target = AtomicUsize>> Counted<C> {
    /// Counts one more.
    pub fn enter(counter: C) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }

    /// Counts one more, unless the limit is reached.
    pub fn below(most: usize, counter: C) -> Option<Self> {
        let more = |count: usize| (count < most).then_some(count + 1);
        counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(counter))
    }
}

impl<C: Deref<Target = AtomicUsize>> Drop for Counted<C> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<C: Deref<Target = AtomicUsize>> fmt::Debug for Counted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counted(one of {})", self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_is_counted_until_it_is_dropped() {
        let counter = Arc::new(AtomicUsize::new(0));
        let (one, other) = (Counted::enter(&*counter), Counted::enter(Arc::clone(&counter)));
        assert_eq!(counter.load(Ordering::Relaxed), 2);
        drop(one);
        assert_eq!(counter.load(Ordering::Relaxed), 1);
        drop(other);
        assert_eq!(counter.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn no_more_enter_than_may() {
        let counter = AtomicUsize::new(0);
        let held: Vec<_> = (0..2).map(|_| Counted::below(2, &counter).unwrap()).collect();
        assert!(Counted::below(2, &counter).is_none());
        assert_eq!(counter.load(Ordering::Relaxed), 2, "who is turned away is not counted");
        drop(held);
        assert!(Counted::below(2, &counter).is_some());
    }
}
