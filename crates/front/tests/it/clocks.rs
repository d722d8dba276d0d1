//! Tests in which the wall clock is set while server and agent run. Every request is answered or refused in time, and
//! leaves are valid again as soon as the clock has been checked.

use concord_model::Timestamp;
use concord_runtime::SetClock;

use crate::world::{Setup, World};

const LEAF: &str = "/v1/agent/connect/ca/leaf/web";
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const NOW: i64 = 1_800_000_000 * SECOND;

async fn world_at(wall_nanos: i64) -> (World, SetClock) {
    let clock = SetClock::new(wall_nanos);
    let world = Setup { clock: Some(clock.clone()), ..Setup::default() }.start().await;
    (world, clock)
}

/// Waits for a leaf that is none of these. Returns its serial number.
async fn another_leaf(world: &World, seen: &[String]) -> String {
    let serial = |body: &str| {
        let leaf: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        leaf["SerialNumber"].as_str().map(str::to_owned)
    };
    let answer = world
        .until(LEAF, "", |answer| {
            answer.status == 200 && serial(&answer.body).is_some_and(|serial| !seen.contains(&serial))
        })
        .await;
    serial(&answer.body).expect("it was there")
}

/// Sends requests that depend on time in some way; each must be answered.
async fn everything_is_answered(world: &World, when: &str) {
    for path in [
        "/v1/agent/connect/ca/roots",
        "/v1/connect/ca/roots",
        "/v1/connect/ca/configuration",
        "/v1/agent/self",
        "/v1/health/service/web?wait=1s&index=1",
        "/v1/catalog/services",
        "/v1/status/leader",
    ] {
        let answer = world.guard(world.get(path).send()).await;
        assert!((200..500).contains(&answer.status), "{when}: {path}: {} {}", answer.status, answer.body);
    }
    let body = r#"{"Name": "web", "Port": 80, "Check": {"TTL": "10s"}}"#;
    let answer = world.guard(world.put("/v1/agent/service/register", body).send()).await;
    assert_eq!(answer.status, 200, "{when}: {}", answer.body);
    let answer = world.guard(world.put("/v1/agent/check/pass/service:web", "").send()).await;
    assert_eq!(answer.status, 200, "{when}: {}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_142_a_clock_set_back_gives_other_leaves_at_once() {
    let (world, clock) = world_at(NOW).await;
    let mut seen = vec![another_leaf(&world, &[]).await];
    for (back, what) in [(DAY, "a day"), (3650 * DAY, "ten years")] {
        clock.set_wall_nanos(NOW - back);
        seen.push(another_leaf(&world, &seen).await);
        everything_is_answered(&world, what).await;
    }
    // Then forward again, beyond the validity of everything signed.
    clock.set_wall_nanos(NOW + 3650 * DAY);
    seen.push(another_leaf(&world, &seen).await);
    everything_is_answered(&world, "ten years on").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_143_a_machine_that_begins_in_1970_is_told_the_time() {
    let (world, clock) = world_at(0).await;
    let seen = vec![another_leaf(&world, &[]).await];
    everything_is_answered(&world, "1970").await;
    clock.set_wall_nanos(NOW);
    another_leaf(&world, &seen).await;
    everything_is_answered(&world, "today").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_8_every_year_is_answered_or_refused() {
    let (world, clock) = world_at(NOW).await;
    for (year, wall, leaves) in [
        ("1970", 0, true),
        ("2038", (i64::from(i32::MAX) - 1) * SECOND, true),
        ("2049", 2_524_607_999 * SECOND, true),
        ("2261", Timestamp::FAR_FUTURE.nanos() - 400 * DAY, true),
        // The latest time that can be represented; a clock in 9999 shows the same.
        ("2262", Timestamp::FAR_FUTURE.nanos(), false),
        ("today", NOW, true),
    ] {
        clock.set_wall_nanos(wall);
        everything_is_answered(&world, year).await;
        if leaves {
            another_leaf(&world, &[]).await;
        } else {
            let answer = world.guard(world.get(LEAF).send()).await;
            assert!(answer.status >= 400, "{year}: {} {}", answer.status, answer.body);
        }
    }
    world.stop().await;
}
