//! Clients of the pairs: blocking sockets on threads. Phases have a time limit; a late client still does its work once.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::peer::{ECHO, SINK};
use crate::spread::Spread;

/// Bytes of a request and of its answer.
pub(crate) const MESSAGE: usize = 128;
/// Bytes of one write in bulk.
const CHUNK: usize = 64 << 10;
/// Bytes between two readings of the clock in bulk.
const PIECE: u64 = 32 << 20;
/// A connection that is silent for this time has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a connection whose bytes are echoed.
pub(crate) fn open(target: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // One write together with the first message, as a real client does.
    let mut first = [b'.'; MESSAGE + 1];
    first[0] = ECHO;
    stream.write_all(&first)?;
    await_message(&mut stream)?;
    Ok(stream)
}

/// Opens this number of connections. Each has transferred a message.
pub(crate) fn open_many(target: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    (0..count).map(|n| open(target).with_context(|| format!("connection {n} to {target}"))).collect()
}

/// Sends messages and waits for their echo, on all connections in parallel. Returns all times.
pub(crate) fn round_trips(streams: &mut [TcpStream], lasting: Duration) -> Result<Spread> {
    let until = Instant::now() + lasting;
    in_parallel(streams, |stream| {
        let mut times = Vec::new();
        loop {
            let began = Instant::now();
            stream.write_all(&[b'.'; MESSAGE])?;
            await_message(stream)?;
            times.push(began.elapsed());
            if Instant::now() >= until {
                return Ok(times);
            }
        }
    })
}

/// Opens connections in each of `workers` threads, one after another. A time ends with the first answer.
pub(crate) fn new_connections(target: SocketAddr, workers: usize, lasting: Duration) -> Result<Spread> {
    let until = Instant::now() + lasting;
    in_parallel(&mut vec![target; workers], |target| {
        let mut times = Vec::new();
        loop {
            let began = Instant::now();
            drop(open(*target)?);
            times.push(began.elapsed());
            if Instant::now() >= until {
                return Ok(times);
            }
        }
    })
}

/// Sends as many bytes as possible in one direction on one connection. Returns their number.
pub(crate) fn bulk(target: SocketAddr, lasting: Duration) -> Result<u64> {
    let until = Instant::now() + lasting;
    let mut sent = 0;
    let mut run = || -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&[SINK])?;
        let chunk = vec![b'.'; CHUNK];
        loop {
            stream.write_all(&PIECE.to_be_bytes())?;
            for _ in 0..PIECE / CHUNK as u64 {
                stream.write_all(&chunk)?;
            }
            stream.read_exact(&mut [0])?;
            sent += PIECE;
            if Instant::now() >= until {
                return Ok(());
            }
        }
    };
    run().with_context(|| format!("bulk to {target}"))?;
    Ok(sent)
}

/// The number of connections as text for figures.
pub(crate) fn together(connections: usize) -> String {
    format!("{connections} connection{}", if connections == 1 { "" } else { "s" })
}

fn await_message(stream: &mut TcpStream) -> io::Result<()> {
    let mut back = [0u8; MESSAGE];
    stream.read_exact(&mut back)?;
    if back == [b'.'; MESSAGE] { Ok(()) } else { Err(io::Error::other("other bytes came back")) }
}

/// Runs one thread for each item and returns all times. One failure fails the phase, so that figures are not too good.
pub(crate) fn in_parallel<T: Send>(
    each: &mut [T],
    work: impl Fn(&mut T) -> Result<Vec<Duration>> + Sync,
) -> Result<Spread> {
    let results: Vec<Result<Vec<Duration>>> = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = each.iter_mut().map(|one| scope.spawn(move || work(one))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
    });
    let mut all = Vec::new();
    for result in results {
        all.extend(result?);
    }
    Ok(Spread::new(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Peer;

    const SHORT: Duration = Duration::from_millis(5);

    #[test]
    fn every_phase_runs_against_the_bare_service() {
        let peer = Peer::start().unwrap();
        let mut streams = open_many(peer.addr(), 3).unwrap();
        assert!(round_trips(&mut streams, SHORT).unwrap().count() >= 3);
        assert!(new_connections(peer.addr(), 2, SHORT).unwrap().count() >= 2);
        let sent = bulk(peer.addr(), SHORT).unwrap();
        assert!(sent > 0 && sent.is_multiple_of(PIECE), "{sent}");
    }

    #[test]
    fn one_failed_connection_fails_the_phase() {
        let peer = Peer::start().unwrap();
        let mut streams = open_many(peer.addr(), 2).unwrap();
        streams[1].shutdown(std::net::Shutdown::Both).unwrap();
        assert!(round_trips(&mut streams, SHORT).is_err());
    }
}
