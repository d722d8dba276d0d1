//! How many records an answer has.

use concord_config::section::DnsSection;
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::rr::RecordType::{A, SRV, TXT};

use crate::world::{Setup, World, accepting, node, on, over_udp, question, service};

const MANY: usize = 300;

async fn crowded(section: DnsSection) -> World {
    let world = Setup { section, ..Setup::default() }.start().await;
    for at in 0..MANY {
        let name = format!("host-{at:04}");
        let address = format!("10.7.{}.{}", at / 250, at % 250 + 1);
        world.register(on(node(&name, "10.0.0.9"), service("many", "many", &address, 80))).await;
    }
    world
}

/// Each target of an SRV record has its address beside it, and nothing else is there.
fn is_consistent(answer: &Message) -> bool {
    answer.answers.iter().all(|record| match &record.data {
        RData::SRV(srv) => answer.additionals.iter().any(|more| more.name == srv.target),
        _ => true,
    })
}

#[tokio::test]
async fn answers_over_udp_are_cut_to_what_the_client_takes() {
    let world =
        crowded(DnsSection { enable_truncate: true, node_meta_txt: false, ..DnsSection::default() }).await;
    let asked = question("many.service.consul.", A);
    let plain = world.ask_with(&asked).await;
    assert_eq!((plain.answers.len(), plain.truncation), (3, true));
    let mut before = 3;
    for size in [512, 600, 1232, 4096] {
        let asked = accepting(asked.clone(), size);
        let bytes = over_udp(world.at, &asked.to_vec().unwrap()).await;
        let answer = Message::from_vec(&bytes).unwrap();
        assert!(bytes.len() <= usize::from(size) && answer.answers.len() >= before, "{size}");
        // One more would not fit: an address behind a known name takes 16 bytes.
        assert!(
            answer.answers.len() == 3 || bytes.len() + 16 + 8 > usize::from(size),
            "{size}: {}",
            bytes.len()
        );
        assert!(answer.truncation && answer.edns.is_some(), "{size}");
        before = answer.answers.len();
    }
    let all = world.ask_with(&accepting(asked.clone(), 16_384)).await;
    assert_eq!((all.answers.len(), all.truncation), (MANY, false));
    let all = world.ask_on_tcp(&asked).await;
    assert_eq!((all.answers.len(), all.truncation), (MANY, false));
    let srv = world.ask_with(&accepting(question("many.service.consul.", SRV), 1_232)).await;
    assert!(srv.truncation && srv.answers.len() > 3 && is_consistent(&srv));
    assert_eq!(srv.answers.len(), srv.additionals.len());
    let all = world.ask_on_tcp(&question("many.service.consul.", SRV)).await;
    assert!(!all.truncation && all.answers.len() == MANY && is_consistent(&all));
    world.stop().await;
}

#[tokio::test]
async fn the_configuration_limits_answers() {
    let world =
        crowded(DnsSection { a_record_limit: 20, udp_answer_limit: 5, ..DnsSection::default() }).await;
    let asked = question("many.service.consul.", A);
    let udp = world.ask_with(&asked).await;
    // As in Consul, it is not said that there are more, unless that is wanted.
    assert_eq!((udp.answers.len(), udp.truncation), (5, false));
    assert_eq!(world.ask_on_tcp(&asked).await.answers.len(), 20);
    let shorter = over_udp(world.at, &asked.to_vec().unwrap()).await.len();
    let section = DnsSection { udp_answer_limit: 100, disable_compression: true, ..DnsSection::default() };
    let datacenter = world.answerer.settings().datacenter.clone();
    world.answerer.configure(concord_dns::Settings::new(section, datacenter, "consul.", None));
    let bytes = over_udp(world.at, &asked.to_vec().unwrap()).await;
    assert_eq!(Message::from_vec(&bytes).unwrap().answers.len(), 8);
    assert!(bytes.len() > shorter + 5 * 15);
    assert_eq!(world.ask_on_tcp(&asked).await.answers.len(), MANY);
    world.stop().await;
}

#[tokio::test]
async fn the_order_is_another_each_time() {
    let world = crowded(DnsSection::default()).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        seen.extend(
            world.ask("many.service.consul.", A).await.answers.iter().map(|record| record.data.to_string()),
        );
    }
    assert!(seen.len() > 75, "{} of 150 draws", seen.len());
    world.stop().await;
}

#[tokio::test]
async fn n_21_one_large_record_does_not_make_a_large_datagram() {
    let world = Setup::default().start().await;
    let mut talkative = node("talkative", "10.0.0.8");
    talkative.meta = (0..60).map(|at| (format!("key-{at}"), "x".repeat(500))).collect();
    world.register(concord_model::catalog::Registration::of(talkative)).await;
    let asked = question("talkative.node.consul.", A);
    let bytes = over_udp(world.at, &asked.to_vec().unwrap()).await;
    let answer = Message::from_vec(&bytes).unwrap();
    assert!(bytes.len() <= 512 && answer.answers.len() == 1 && !answer.truncation);
    assert_eq!(world.ask_on_tcp(&asked).await.additionals.len(), 60);
    let texts = world.ask_on_tcp(&question("talkative.node.consul.", TXT)).await;
    assert_eq!(texts.answers.len(), 60);
    // A text of more than 255 bytes has several pieces.
    assert!(
        texts.answers.iter().all(|record| matches!(&record.data, RData::TXT(own) if own.txt_data.len() == 2))
    );
    let bytes = over_udp(world.at, &question("talkative.node.consul.", TXT).to_vec().unwrap()).await;
    let answer = Message::from_vec(&bytes).unwrap();
    assert!(bytes.len() <= 512 && answer.answers.is_empty() && answer.truncation, "{answer}");
    world.stop().await;
}
