//! Strangers make an agent hold as much as they can, beside a client which has a token and its own address. The long
//! version is `cargo xtask measure strangers`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use concord_e2e::{Agent, AgentOptions, World, connect_as, eventually, figure};
use serde_json::json;

const TOKEN: &str = "6b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01";
/// Memory in bytes which strangers may add to an idle agent.
const ABOVE_IDLE: u64 = 256 << 20;
const MIB: f64 = 1048576.0;

/// An agent on which everybody may read and one client has a token.
fn agent(world: &World, descriptors: Option<u32>) -> Agent {
    let acl = format!(
        "acl {{ enabled = true default_policy = \"allow\" tokens {{ initial_management = \"{TOKEN}\" }} }}"
    );
    world.agent("n1", AgentOptions { dev: true, hcl: vec![acl], descriptors, ..AgentOptions::default() })
}

/// Asserts that the agent answers the client.
fn is_served(agent: &Agent) {
    let reply = agent.http().with_token(TOKEN).get("/v1/acl/token/self");
    assert!(reply.ok().body.contains("AccessorID"), "{reply:?}");
}

fn resident(agent: &mut Agent) -> u64 {
    let path = format!("/proc/{}/status", agent.process().pid());
    let status = std::fs::read_to_string(path).expect("the agent lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Opens a connection for each stranger and sends `words`. Returns the greatest memory above idle, in bytes.
fn flood(agent: &mut Agent, strangers: u16, words: &[u8]) -> u64 {
    let target = agent.http_addr().parse().expect("an address");
    let idle = resident(agent);
    let mut most = idle;
    let mut held: Vec<TcpStream> = Vec::new();
    for number in 0..strangers {
        // The strangers share sixteen addresses. It does not matter which of them are refused.
        if let Ok(mut stream) = connect_as(number % 16, target) {
            let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
            let _ = stream.write_all(words);
            held.push(stream);
        }
        if number % 20 == 0 {
            is_served(agent);
            most = most.max(resident(agent));
        }
    }
    for _ in 0..10 {
        is_served(agent);
        most = most.max(resident(agent));
        thread::sleep(Duration::from_millis(50));
    }
    drop(held);
    eventually("all of it is over", || {
        connect_as(0, target)
            .and_then(|mut stream| {
                stream.write_all(
                    b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                )?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                Ok(answer.starts_with("HTTP/1.1 200 "))
            })
            .ok()
            .filter(|served| *served)
    });
    most - idle
}

#[test]
fn n_18_clients_that_do_not_read_take_no_more_than_they_may() {
    let world = World::new();
    let mut agent = agent(&world, None);
    // The list of these services is an answer of eight megabytes.
    for number in 0..16 {
        let body = json!({ "Name": format!("service-{number}"), "Tags": vec!["x".repeat(1_000); 500] });
        agent.http().with_token(TOKEN).put("/v1/agent/service/register", &body).ok();
    }
    let above = flood(&mut agent, 100, b"GET /v1/agent/services HTTP/1.1\r\nHost: localhost\r\n\r\n");
    figure("memory of 100 clients that do not read 8 MB, above idle", above as f64 / MIB, "MiB");
    assert!(above < ABOVE_IDLE, "{above}");
}

#[test]
fn n_37_unfinished_bodies_take_no_more_than_they_may() {
    let world = World::new();
    let mut agent = agent(&world, None);
    let head = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n";
    let words = format!("{head}{{\"Name\":\"web\"{}", " ".repeat(490_000));
    let above = flood(&mut agent, 1_000, words.as_bytes());
    figure("memory of 1,000 unfinished bodies of half a megabyte, above idle", above as f64 / MIB, "MiB");
    assert!(above < ABOVE_IDLE, "{above}");
}

#[test]
fn f_35_an_agent_without_descriptors_keeps_what_it_has_and_recovers() {
    let world = World::new();
    let agent = agent(&world, Some(256));
    let target = agent.http_addr().parse().expect("an address");
    let http = agent.http().with_token(TOKEN);
    let mut open = http.connect().expect("a connection");
    assert_eq!(open.send("GET", "/v1/status/leader", None).expect("an answer").status, 200);
    // More connections than the agent has descriptors, from enough addresses to stay below the limit for each.
    let silent: Vec<TcpStream> = (0..600).filter_map(|number| connect_as(number % 6, target).ok()).collect();
    for number in 0..5 {
        let body = json!({ "Name": format!("service-{number}") }).to_string();
        let reply =
            open.send("PUT", "/v1/agent/service/register", Some(&body)).expect("what is open goes on");
        assert_eq!(reply.status, 200, "{}", reply.body);
        // The agent also accepts a new connection, because its address holds fewer connections than theirs.
        is_served(&agent);
    }
    drop(silent);
    eventually("there is room again", || {
        let all: Vec<_> = (0..20).filter_map(|number| connect_as(number, target).ok()).collect();
        (all.len() == 20).then_some(())
    });
    is_served(&agent);
}
