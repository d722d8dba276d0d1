//! Tests of TCP connections and UDP datagrams.

use concord_runtime::ManualClock;
use tokio::net::UdpSocket;

use super::*;

#[tokio::test]
async fn a_connection_passes_and_a_refusal_is_critical() {
    let (scope, maker) = (scope(), maker());
    let there = serve(&scope, |_| async {}).await;
    let tcp = |address: String| Probe::Tcp { address, tls: None, every: every(PATIENT) };
    assert_eq!(run(&maker, tcp(there.to_string())).await, (Passing, format!("TCP connect {there}: Success")));
    let closed = closed().await;
    assert_eq!(
        run(&maker, tcp(closed.to_string())).await,
        (Critical, format!("dial tcp {closed}: connect: connection refused"))
    );
    let (status, output) = run(&maker, tcp("host.invalid:1".to_owned())).await;
    assert!(status == Critical && output.starts_with("dial tcp host.invalid:1: "), "{output}");
}

#[tokio::test]
async fn a_datagram_that_was_not_sent_in_time_is_critical() {
    // Its time is over before the name is resolved.
    let maker = Maker::new(&config(), Arc::new(ManualClock::new(0)));
    let report = udp::run(&maker.tools, "localhost:1", Duration::ZERO).await;
    assert_eq!((report.status, report.output.as_str()), (Critical, "udp localhost:1: i/o timeout"));
}

#[tokio::test]
async fn a_datagram_nobody_refuses_passes() {
    let maker = maker();
    let udp = |address: String| Probe::Udp { address, every: every(BRIEF) };
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let there = socket.local_addr().unwrap();
    let passes = (Passing, format!("UDP connect {there}: Success"));
    assert_eq!(run(&maker, udp(there.to_string())).await, passes, "silence is consent");
    let scope = scope();
    scope.spawn("echo", async move {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 8]).await {
            let _ = socket.send_to(b"here", from).await;
        }
    });
    // It does not wait for the end of its time.
    let answered = Probe::Udp { address: there.to_string(), every: every(PATIENT) };
    assert_eq!(run(&maker, answered).await, passes);
    let closed = {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.local_addr().unwrap()
    };
    let refused = Probe::Udp { address: closed.to_string(), every: every(PATIENT) };
    assert_eq!(run(&maker, refused).await, (Critical, format!("udp {closed}: connect: connection refused")));
}
