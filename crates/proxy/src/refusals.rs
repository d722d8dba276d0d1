//! Refused connections: all are counted, and logged as [`Throttle`] decides.
//!
//! A refusal without its own line is still logged at debug level, for operators who search for one peer.

use std::sync::Arc;

use concord_runtime::{Clock, Instant};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{debug, info};

use crate::events::Direction;
use crate::limits::{REFUSALS_TOLD, REFUSALS_WINDOW};
use crate::throttle::{Bounds, Effect, Event, Kind, Summary, Throttle};
use crate::wire::Remote;

/// All reasons, as listed in docs/proxy.md.
const REASONS: [&str; 19] = [
    "intention",
    "certificate",
    "handshake",
    NO_BYTES,
    "handshake_timeout",
    "handshake_limit",
    "connection_limit",
    "no_leaf",
    "no_snapshot",
    "no_instance",
    "connect",
    "connect_timeout",
    "identity",
    "sni",
    "local_connect",
    "local_connect_timeout",
    "no_local_service",
    "refused_upstream",
    "service_changed",
];

/// The reason if a caller sent nothing at all. Programs that check whether the port is open do this again and again,
/// so it is not worth a line.
pub(crate) const NO_BYTES: &str = "no_bytes";

/// A connection that was refused before any byte went through.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    pub(crate) direction: Direction,
    pub(crate) remote: Remote,
    /// The fixed name of the reason.
    pub(crate) reason: &'static str,
    /// The details.
    pub(crate) detail: &'a str,
}

/// Reports refused connections.
#[derive(Debug)]
pub(crate) struct Refusals {
    clock: Arc<dyn Clock>,
    telling: Mutex<Telling>,
    /// Signalled when the timer is set.
    armed: Notify,
}

#[derive(Debug)]
struct Telling {
    throttle: Throttle,
    /// When the next window with something to report ends. It is set under the lock under which it was found.
    timer: Option<Instant>,
}

impl Refusals {
    /// Nothing was refused yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let bounds = Bounds { told: REFUSALS_TOLD, window: REFUSALS_WINDOW };
        let telling = Mutex::new(Telling { throttle: Throttle::new(bounds), timer: None });
        Self { clock, telling, armed: Notify::new() }
    }

    /// Counts a refusal and reports it, now or later.
    pub(crate) fn add(&self, refused: &Refused<'_>) {
        let (direction, reason) = (refused.direction, refused.reason);
        debug_assert!(REASONS.contains(&reason), "{reason} stands in no list of reasons");
        metrics::counter!("concord_proxy_refused_total", "direction" => direction.as_str(), "reason" => reason)
            .increment(1);
        let in_full = reason != NO_BYTES && self.feed(Event::Refused(Kind { direction, reason }));
        refused.tell(in_full);
    }

    /// Reports what was held back, window by window, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            let due = self.telling.lock().timer;
            let over = async {
                match due {
                    Some(due) => self.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.armed.notified() => {}
                () = over => {
                    self.telling.lock().timer.take_if(|at| Some(*at) == due);
                    self.feed(Event::Tick);
                }
            }
        }
    }

    /// Reports what is still held back; no more refusals follow.
    pub(crate) fn end(&self) {
        self.feed(Event::End);
    }

    /// Performs the effects of an event. Returns whether it has to be logged in full.
    fn feed(&self, event: Event) -> bool {
        let mut effects = Vec::new();
        let mut telling = self.telling.lock();
        telling.throttle.on(self.clock.now(), event, &mut effects);
        let timer = effects.iter().rev().find_map(Effect::timer);
        if let Some(at) = timer {
            telling.timer = Some(at);
            self.armed.notify_one();
        }
        drop(telling);
        let mut in_full = false;
        for effect in effects {
            match effect {
                Effect::Tell => in_full = true,
                Effect::Summarise(summary) => summary.tell(),
                Effect::ArmTimer(_) => {}
            }
        }
        in_full
    }
}

impl Refused<'_> {
    fn tell(&self, in_full: bool) {
        let Self { direction, remote, reason, detail } = self;
        let direction = direction.as_str();
        if in_full {
            info!(direction, %remote, reason, detail, "connection refused");
        } else {
            debug!(direction, %remote, reason, detail, "connection refused");
        }
    }
}

impl Summary {
    fn tell(&self) {
        let Self { kind: Kind { direction, reason }, held, over } = *self;
        info!(
            direction = direction.as_str(),
            reason,
            count = held,
            millis = u64::try_from(over.as_millis()).unwrap_or(u64::MAX),
            "more connections refused; -log-level=debug tells of each"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use concord_runtime::ManualClock;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tracing::Level;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The log lines from a level on, and the metrics.
    fn told(level: Level, with: impl FnOnce(&Refusals, &ManualClock)) -> (Vec<String>, String) {
        let (log, clock) = (Log::default(), Arc::new(ManualClock::new(0)));
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(level);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        let recorder = PrometheusBuilder::new().build_recorder();
        let refusals = Refusals::new(Arc::clone(&clock) as _);
        tracing::subscriber::with_default(subscriber, || {
            metrics::with_local_recorder(&recorder, || with(&refusals, &clock));
        });
        let text = String::from_utf8(log.0.lock().clone()).unwrap();
        (text.lines().map(str::to_owned).collect(), recorder.handle().render())
    }

    fn add(refusals: &Refusals, reason: &'static str, times: u64) {
        let remote = Remote::Tcp(([192, 0, 2, 1], 40_000).into());
        for _ in 0..times {
            let detail = "what happened";
            refusals.add(&Refused { direction: Direction::Inbound, remote, reason, detail });
        }
    }

    #[test]
    fn the_page_lists_every_reason_and_no_other() {
        let page = include_str!("../../../docs/proxy.md");
        let (_, table) = page.split_once("| reason of a refusal | what to look at |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut listed: Vec<&str> = rows
            .filter_map(|row| row.split('|').nth(1))
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        let mut known = REASONS.to_vec();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }

    fn counted(metrics: &str, reason: &str, times: u64) -> bool {
        let series =
            format!("concord_proxy_refused_total{{direction=\"inbound\",reason=\"{reason}\"}} {times}");
        metrics.lines().any(|line| line == series)
    }

    #[test]
    fn a_flood_of_refusals_is_few_lines_and_an_exact_count() {
        let (lines, metrics) = told(Level::INFO, |refusals, clock| {
            add(refusals, "handshake", 10_000);
            clock.advance(REFUSALS_WINDOW);
            refusals.feed(Event::Tick);
        });
        let told = usize::try_from(REFUSALS_TOLD).unwrap();
        assert_eq!(lines.len(), told + 1, "{lines:#?}");
        assert!(
            lines[..told]
                .iter()
                .all(|line| line.contains("connection refused") && line.contains("192.0.2.1"))
        );
        assert!(
            lines[told].contains("count=9990") && lines[told].contains("reason=\"handshake\""),
            "{}",
            lines[told]
        );
        assert!(lines[told].contains("millis=10000"), "{}", lines[told]);
        assert!(counted(&metrics, "handshake", 10_000), "{metrics}");
    }

    #[test]
    fn what_is_held_back_is_there_for_whoever_asks_for_all() {
        let (lines, _) = told(Level::DEBUG, |refusals, _| add(refusals, "handshake", 100));
        assert_eq!(lines.len(), 100);
        assert_eq!(lines.iter().filter(|line| line.contains(" INFO ")).count(), 10);
    }

    #[test]
    fn a_look_at_the_port_is_no_news_and_takes_nobody_s_room() {
        let with = |refusals: &Refusals, _: &ManualClock| {
            add(refusals, NO_BYTES, 1_000);
            refusals.end();
        };
        let (lines, metrics) = told(Level::INFO, with);
        assert!(lines.is_empty(), "{lines:#?}");
        assert!(counted(&metrics, NO_BYTES, 1_000) && !metrics.contains("reason=\"handshake\""), "{metrics}");
        assert_eq!(told(Level::DEBUG, with).0.len(), 1_000);
    }

    #[tokio::test]
    async fn a_flood_that_ends_is_summed_up_when_its_window_does() {
        let clock = Arc::new(ManualClock::new(0));
        let refusals = Arc::new(Refusals::new(Arc::clone(&clock) as _));
        add(&refusals, "handshake", REFUSALS_TOLD + 5);
        let due = refusals.telling.lock().timer.expect("it has something to tell");
        assert_eq!(due, clock.now() + REFUSALS_WINDOW);
        let running = refusals.run();
        tokio::pin!(running);
        clock.advance(REFUSALS_WINDOW + Duration::from_millis(1));
        // It runs for ever: polled as far as it gets, it has ended the window and waits again.
        while refusals.telling.lock().timer.is_some() {
            tokio::select! {
                biased;
                () = &mut running => unreachable!("it never ends"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert!(!refusals.feed(Event::Tick), "nothing is held back any more");
        assert!(refusals.feed(Event::Refused(Kind { direction: Direction::Inbound, reason: "handshake" })));
    }
}
