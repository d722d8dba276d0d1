//! Names that are not written in lower case.
//!
//! DNS knows no case, and clients change it at will. Our catalog does: `Web` and `web` are two services. So a name is
//! looked up in lower case, and in the spellings that the catalog has of it. Which these are is remembered for a
//! moment. What is remembered is only tried: each spelling is read with the rights of the token that asks.

use std::collections::HashMap;
use std::sync::Arc;

use concord_runtime::{Clock, Instant};
use parking_lot::Mutex;

use crate::limits::{SPELLINGS, SPELLINGS_AGE, SPELLINGS_OF_NAME};

/// The spellings of some kind of names.
pub(crate) struct Spellings {
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// One looks them up; others use what is known.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    at: Option<Instant>,
    /// By the name in lower case, spellings that differ from it.
    names: HashMap<String, Vec<String>>,
}

impl Spellings {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default(), renewing: tokio::sync::Mutex::default() }
    }

    /// The known spellings of a name in lower case, other than itself.
    pub(crate) fn of(&self, name: &str) -> Vec<String> {
        self.known.lock().names.get(name).cloned().unwrap_or_default()
    }

    /// Looks all names up, unless that was done a moment ago.
    pub(crate) async fn renew<E>(&self, list: impl Future<Output = Result<Vec<String>, E>>) {
        let Ok(_renewing) = self.renewing.try_lock() else { return };
        let now = self.clock.now();
        if self.known.lock().at.is_some_and(|at| now < at + SPELLINGS_AGE) {
            return;
        }
        let Ok(all) = list.await else { return };
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        let others = all.into_iter().filter(|name| name.bytes().any(|byte| byte.is_ascii_uppercase()));
        for name in others.take(SPELLINGS) {
            let spellings = names.entry(name.to_ascii_lowercase()).or_default();
            if spellings.len() < SPELLINGS_OF_NAME {
                spellings.push(name);
            }
        }
        *self.known.lock() = Known { at: Some(self.clock.now()), names };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use concord_runtime::ManualClock;

    use super::*;

    #[tokio::test]
    async fn spellings_are_looked_up_once_in_a_while() {
        let clock = Arc::new(ManualClock::new(0));
        let own = Spellings::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let list = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            async move { Ok::<_, ()>(names) }
        };
        assert!(own.of("web").is_empty());
        own.renew(list(&["Web", "web", "WEB", "api"])).await;
        assert_eq!(own.of("web"), ["Web", "WEB"]);
        assert!(own.of("api").is_empty());
        own.renew(list(&[])).await;
        assert_eq!(own.of("web").len(), 2);
        clock.advance(SPELLINGS_AGE + Duration::from_millis(1));
        own.renew(async { Err::<Vec<String>, _>(()) }).await;
        assert_eq!(own.of("web").len(), 2, "a failure forgets nothing");
        own.renew(list(&[])).await;
        assert!(own.of("web").is_empty());
    }
}
