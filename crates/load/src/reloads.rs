//! Replaces certificates while clients send 200 requests a second over HTTPS, and counts failed requests.
//!
//! Half of the clients keep their connection, the others connect for each request. Each reload changes the authority.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use concord_e2e::{AgentOptions, Authority, Http, World, pick_port};

use crate::figures::Figures;
use crate::spread::Spread;

/// Number of clients.
const ASKERS: u32 = 8;
/// Requests of all clients in a second.
const PER_SECOND: u32 = 200;
/// Time between two reloads.
const RELOAD: Duration = Duration::from_millis(250);

pub(crate) fn run(lasting: Duration) -> Result<Figures> {
    let world = World::new();
    let authorities = [Authority::new(world.dir(), "first"), Authority::new(world.dir(), "second")];
    let (cert, key) = authorities[0].issue("server");
    let files = format!("cert_file = \"{}\" key_file = \"{}\"", cert.display(), key.display());
    let hcl = vec![format!("ports {{ https = {} }} tls {{ https {{ {files} }} }}", pick_port())];
    let agent = world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() });
    let tls = Authority::client(&[&authorities[0], &authorities[1]], None);
    let https = Http::secure(agent.https_addr(), tls);
    let (done, failed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let began = Instant::now();
    let (times, reloads) = thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS)
            .map(|number| {
                let (https, done, failed) = (&https, &done, &failed);
                scope.spawn(move || ask(https, number % 2 == 0, done, failed))
            })
            .collect();
        let mut reloads = 0;
        while began.elapsed() < lasting {
            thread::sleep(RELOAD);
            reloads += 1;
            authorities[reloads % 2].issue("server");
            let reply = agent.http().send("PUT", "/v1/agent/reload", None);
            if reply.status != 200 {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        done.store(true, Ordering::Relaxed);
        let times: Result<Vec<Vec<Duration>>> =
            askers.into_iter().map(|asker| asker.join().map_err(|_| anyhow!("an asker panicked"))).collect();
        times.map(|times| (times.concat(), reloads))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(!times.is_empty(), "nothing was answered");
    let times = Spread::new(times);
    let mut figures = Figures::default();
    figures.add("HTTPS requests beside reloads".to_owned(), times.count() as f64 / seconds, "/s");
    figures.add("reloads with another certificate".to_owned(), reloads as f64, "");
    figures.add("failed requests".to_owned(), failed.load(Ordering::Relaxed) as f64, "");
    figures.add("p50".to_owned(), times.millis(50), "ms");
    figures.add("p99".to_owned(), times.millis(99), "ms");
    Ok(figures)
}

/// Sends requests at a regular rate until `done`, and counts failures.
fn ask(https: &Http, kept: bool, done: &AtomicBool, failed: &AtomicUsize) -> Vec<Duration> {
    let pause = Duration::from_secs(1) * ASKERS / PER_SECOND;
    let (mut times, mut conn, mut due) = (Vec::new(), None, Instant::now());
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        if !kept {
            conn = None;
        }
        let asked = match conn.take().map_or_else(|| https.connect(), Ok) {
            Ok(mut open) => open.send("GET", "/v1/status/leader", None).map(|reply| (open, reply)),
            Err(error) => Err(error),
        };
        match asked {
            Ok((open, reply)) if reply.status == 200 => {
                times.push(began.elapsed());
                conn = Some(open);
            }
            Ok((_, reply)) => {
                eprintln!("reloads: {} {}", reply.status, reply.body);
                failed.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                eprintln!("reloads: {error}");
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        due += pause;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    times
}
