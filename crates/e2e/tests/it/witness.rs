//! Tests of the test tools: they report the faults which they must report.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use concord_e2e::{Echo, Load, pick_port};

#[test]
fn load_tells_of_connections_that_fail() {
    let load = Load::start(([127, 0, 0, 1], pick_port()).into(), 50, 1);
    thread::sleep(Duration::from_millis(100));
    let outcome = load.finish();
    assert!(outcome.opened == 0 && outcome.beats == 0 && !outcome.failures.is_empty(), "{outcome:?}");
}

#[test]
fn load_tells_of_connections_that_are_closed_without_an_answer() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let addr = listener.local_addr().expect("an address");
    // The thread waits for connections and ends with the test's process.
    thread::spawn(move || listener.incoming().for_each(drop));
    let load = Load::start(addr, 50, 1);
    thread::sleep(Duration::from_millis(100));
    let outcome = load.finish();
    assert!(outcome.opened == 0 && !outcome.failures.is_empty(), "{outcome:?}");
}

#[test]
fn load_is_content_with_an_echo() {
    let echo = Echo::new();
    let load = Load::start(echo.addr(), 100, 2);
    thread::sleep(Duration::from_millis(200));
    let outcome = load.finish();
    assert!(outcome.opened > 0 && outcome.beats > 0 && outcome.failures.is_empty(), "{outcome:?}");
    assert!(echo.connections() >= outcome.opened && echo.bytes() > 0);
}
