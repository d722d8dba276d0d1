//! What the sockets accept.

use std::sync::Arc;

use concord_dns::limits::{CONNECTIONS_PER_CLIENT, IDLE_TIMEOUT, QUESTION_BYTES, TRANSFER_TIMEOUT};
use concord_runtime::{Clock, ManualClock, Source};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType::{A, AXFR, IXFR};
use hickory_proto::rr::{DNSClass, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::teller::told;
use crate::world::{Setup, accepting, guarded, on_tcp, question};

/// For DNS no time passes: no connection ends because its client is slow.
fn patient() -> Setup {
    Setup { clock: Some(Arc::new(ManualClock::new(0))), ..Setup::default() }
}

#[tokio::test]
async fn n_24_a_transfer_of_the_zone_is_refused() {
    let world = Setup::default().start().await;
    for kind in [AXFR, IXFR] {
        world.check("consul.", kind, "NOTIMP aa").await;
        world.check("web.service.consul.", kind, "NOTIMP aa").await;
        world.check("example.", kind, "REFUSED").await;
    }
    world.stop().await;
}

#[tokio::test]
async fn several_questions_on_a_connection_are_answered_one_after_the_other() {
    let world = Setup::default().start().await;
    let mut stream = TcpStream::connect(world.at).await.unwrap();
    for id in 0..20 {
        let mut asked = question("n1.node.consul.", A);
        asked.metadata.id = id;
        let answer = Message::from_vec(&on_tcp(&mut stream, &asked.to_vec().unwrap()).await).unwrap();
        assert_eq!((answer.id, answer.answers.len()), (id, 1));
    }
    world.stop().await;
}

#[tokio::test]
async fn n_24_slow_clients_are_disconnected() {
    let clock = Arc::new(ManualClock::new(0));
    let world = Setup { clock: Some(Arc::clone(&clock) as Arc<dyn Clock>), ..Setup::default() }.start().await;
    let question = question("n1.node.consul.", A).to_vec().unwrap();
    for (sent, wait) in [
        (Vec::new(), IDLE_TIMEOUT),
        (vec![0], IDLE_TIMEOUT),
        ([&[0, 33], &question[..20]].concat(), TRANSFER_TIMEOUT),
    ] {
        let mut stream = TcpStream::connect(world.at).await.unwrap();
        stream.write_all(&sent).await.unwrap();
        // Wait until it is being waited for: the clock does not move before.
        let end = async {
            let mut byte = [0];
            stream.read(&mut byte).await
        };
        let mut end = Box::pin(end);
        loop {
            let pause = world.scope.clock().sleep(std::time::Duration::from_millis(20));
            tokio::select! {
                end = &mut end => {
                    assert!(matches!(end, Ok(0) | Err(_)));
                    break;
                }
                () = pause => clock.advance(wait / 2),
            }
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn n_24_a_client_has_a_limited_number_of_connections() {
    let world = patient().start().await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_PER_CLIENT {
        let mut stream = TcpStream::connect(world.at).await.unwrap();
        on_tcp(&mut stream, &question("n1.node.consul.", A).to_vec().unwrap()).await;
        held.push(stream);
    }
    let mut other = TcpStream::connect(world.at).await.unwrap();
    assert!(matches!(guarded(other.read(&mut [0])).await, Ok(0) | Err(_)));
    drop(held);
    world.until("n1.node.consul.", A, "NOERROR").await;
    loop {
        let mut stream = TcpStream::connect(world.at).await.unwrap();
        let asked = question("n1.node.consul.", A).to_vec().unwrap();
        let length = u16::try_from(asked.len()).unwrap();
        let sent = stream.write_all(&[&length.to_be_bytes(), asked.as_slice()].concat()).await;
        if sent.is_ok() && guarded(stream.read_u16()).await.is_ok() {
            break;
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn connections_share_their_room_with_those_of_other_listeners() {
    let world = Setup { connections: Some(3), ..patient() }.start().await;
    let asked = question("n1.node.consul.", A).to_vec().unwrap();
    let other = world.budget.door(8);
    let from = Source::of([192, 0, 2, 1].into());
    let guests: Vec<_> = (0..3).map(|_| other.enter(from, 0).unwrap()).collect();
    let mut first = TcpStream::connect(world.at).await.unwrap();
    on_tcp(&mut first, &asked).await;
    assert_eq!(guests.iter().filter(|guest| guest.is_evicted()).count(), 1);
    drop(guests);

    for _ in 0..2 {
        on_tcp(&mut TcpStream::connect(world.at).await.unwrap(), &asked).await;
    }
    let mut held = vec![first];
    for _ in 0..2 {
        let mut stream = TcpStream::connect(world.at).await.unwrap();
        on_tcp(&mut stream, &asked).await;
        held.push(stream);
    }
    let _guest = other.enter(from, 0).unwrap();
    let ends = held.iter_mut().map(|stream| Box::pin(async { stream.read(&mut [0]).await }));
    let (end, _, _) = guarded(futures::future::select_all(ends)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "one of them made room");
    world.stop().await;
}

#[tokio::test]
async fn n_22_what_is_no_question_leaves_the_next_one_unharmed() {
    let world = patient().start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(world.at).await.unwrap();
    let mut answered = question("n1.node.consul.", A);
    answered.metadata.message_type = hickory_proto::op::MessageType::Response;
    for dropped in
        [vec![], vec![0; 11], vec![0x80; 12], vec![7; QUESTION_BYTES + 1], answered.to_vec().unwrap()]
    {
        socket.send(&dropped).await.unwrap();
    }
    // Nothing of that was answered, so the first answer is that to the question.
    socket.send(&question("n1.node.consul.", A).to_vec().unwrap()).await.unwrap();
    let mut buffer = [0; 512];
    let length = guarded(socket.recv(&mut buffer)).await.unwrap();
    assert_eq!(Message::from_vec(&buffer[..length]).unwrap().id, 4711);
    // A connection on which nothing sensible is said is closed.
    for nonsense in [vec![0xff, 0xff], vec![0, 0], vec![0, 12, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
        let mut stream = TcpStream::connect(world.at).await.unwrap();
        stream.write_all(&nonsense).await.unwrap();
        assert!(matches!(guarded(stream.read(&mut [0])).await, Ok(0) | Err(_)));
    }
    world.stop().await;
}

#[tokio::test]
async fn other_classes_and_versions_are_refused() {
    let world = Setup::default().start().await;
    let mut chaos = question("n1.node.consul.", RecordType::TXT);
    chaos.queries[0].query_class = DNSClass::CH;
    assert_eq!(told(&world.ask_with(&chaos).await), "REFUSED");
    let mut any = question("n1.node.consul.", A);
    any.queries[0].query_class = DNSClass::ANY;
    assert_eq!(world.ask_with(&any).await.answers.len(), 1);
    let mut newer = accepting(question("n1.node.consul.", A), 1_232);
    newer.edns.as_mut().unwrap().set_version(1);
    let answer = world.ask_with(&newer).await;
    assert_eq!(
        (u16::from(answer.response_code), answer.answers.len()),
        (u16::from(ResponseCode::BADVERS), 0)
    );
    world.stop().await;
}
