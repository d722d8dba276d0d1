//! What the entries said when, so that each answer can be judged.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// What the entries say about requests of `web` for `api`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Said {
    pub(super) intention: Intention,
    /// The value of the header `x-said` that a router sets, if there is one.
    pub(super) header: Option<usize>,
}

/// Whom the intention lets pass.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Intention {
    #[default]
    All,
    /// All but requests for `/private`.
    Public,
    Nobody,
}

/// An answer: its status, and the header that the service saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) header: Option<usize>,
}

impl Said {
    /// The one answer to a request.
    pub(super) fn answer(&self, path: &str) -> Answer {
        let allowed = match self.intention {
            Intention::All => true,
            Intention::Public => !path.starts_with("/private"),
            Intention::Nobody => false,
        };
        match allowed {
            true => Answer { status: 200, header: self.header },
            false => Answer { status: 403, header: None },
        }
    }
}

/// All that was said, with the moment from which it could hold and the moment since which it held no more.
#[derive(Clone, Debug)]
pub(super) struct History(Arc<Mutex<Vec<Span>>>);

#[derive(Debug)]
struct Span {
    said: Said,
    from: Instant,
    until: Option<Instant>,
}

impl History {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(vec![Span { said: Said::default(), from: Instant::now(), until: None }])))
    }

    /// What is said last.
    pub(super) fn now(&self) -> Said {
        self.spans().last().expect("it begins with one").said.clone()
    }

    /// From now on this may hold.
    pub(super) fn begin(&self, said: Said) {
        self.spans().push(Span { said, from: Instant::now(), until: None });
    }

    /// From now on nothing holds but what was said last.
    pub(super) fn settle(&self) {
        let mut spans = self.spans();
        let last = spans.len() - 1;
        spans[..last]
            .iter_mut()
            .filter(|span| span.until.is_none())
            .for_each(|span| span.until = Some(Instant::now()));
    }

    /// Whether something explains the answer to a request that took this time.
    pub(super) fn explains(&self, path: &str, answer: &Answer, began: Instant, ended: Instant) -> bool {
        let spans = self.spans();
        let held = |span: &&Span| span.from <= ended && span.until.is_none_or(|until| until >= began);
        let mut heads = Vec::new();
        let mut intentions = Vec::new();
        for span in spans.iter().filter(held) {
            heads.push(span.said.header);
            intentions.push(span.said.intention);
        }
        // Two Envoys act by the two, so that each may be a moment behind.
        intentions.iter().any(|intention| {
            heads.iter().any(|header| Said { intention: *intention, header: *header }.answer(path) == *answer)
        })
    }

    fn spans(&self) -> MutexGuard<'_, Vec<Span>> {
        self.0.lock().expect("nobody panics with it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_explained_by_what_held_during_its_request_and_by_nothing_else() {
        let history = History::new();
        let moment = Instant::now;
        let (ok, denied) = (Answer { status: 200, header: None }, Answer { status: 403, header: None });
        let first = (moment(), moment());
        assert!(history.explains("/", &ok, first.0, first.1));
        assert!(!history.explains("/", &denied, first.0, first.1));
        history.begin(Said { intention: Intention::Nobody, header: None });
        let both = (moment(), moment());
        assert!(history.explains("/", &ok, both.0, both.1) && history.explains("/", &denied, both.0, both.1));
        assert!(!history.explains("/", &denied, first.0, first.1), "that was before");
        history.settle();
        std::thread::sleep(std::time::Duration::from_millis(1));
        let after = (moment(), moment());
        assert!(!history.explains("/", &ok, after.0, after.1), "it is over");
        assert!(history.explains("/", &denied, after.0, after.1));
        assert!(!history.explains("/", &Answer { status: 503, header: None }, after.0, after.1));
    }
}
