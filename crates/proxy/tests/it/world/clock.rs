//! A clock whose timers run like the real one's and can be set forward; the wall clock moves only
//! then, so that certificates are judged at the same moment in every run.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use concord_runtime::{Clock, Instant, TokioClock};
use futures::future::BoxFuture;
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct TestClock {
    wall_nanos: AtomicI64,
    ahead: watch::Sender<Duration>,
}

impl TestClock {
    pub(crate) fn at(wall_nanos: i64) -> Self {
        Self { wall_nanos: AtomicI64::new(wall_nanos), ahead: watch::Sender::new(Duration::ZERO) }
    }

    /// Sets the wall clock alone, and lets everybody look at it.
    pub(crate) fn set_wall_back(&self, by: Duration) {
        self.wall_nanos.fetch_sub(i64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
        self.advance(Duration::from_secs(3));
    }

    /// Sets it forward; everybody whose time has come wakes.
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.send_modify(|ahead| *ahead += by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        TokioClock::monotonic() + *self.ahead.borrow()
    }

    fn wall_nanos(&self) -> i64 {
        self.wall_nanos.load(Ordering::SeqCst) + i64::try_from(self.ahead.borrow().as_nanos()).unwrap()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        let mut ahead = self.ahead.subscribe();
        Box::pin(async move {
            loop {
                let timer = TokioClock::timer(deadline - *ahead.borrow_and_update());
                tokio::select! {
                    () = timer => return,
                    moved = ahead.changed() => if moved.is_err() { return },
                }
            }
        })
    }
}
