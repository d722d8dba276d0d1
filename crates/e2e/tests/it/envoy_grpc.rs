//! Calls of gRPC through two real Envoys: answers, streams and failures arrive, intentions judge methods, and routes
//! repeat what fails.

use std::net::SocketAddr;

use concord_e2e::{EnvoyProcess, Mesh, Teller, World, all_answer, eventually, pick_port};
use serde_json::json;
use tonic::Code;

use crate::envoy_routes::{judge, write};
use crate::envoy_sidecar::{DRAIN, envoys_by_feeds, refused_nothing};
use crate::grpc::{FAILURES, REPEAT, SAY, STUMBLE, Speaker, talk, tell};

#[test]
fn calls_of_grpc_are_carried_judged_by_method_and_repeated() {
    for (envoy, feed) in envoys_by_feeds("calls_of_grpc_are_carried_judged_by_method_and_repeated") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        write(&agent, &json!({ "Kind": "service-defaults", "Name": "api", "Protocol": "grpc" }));
        let (api, web, port) = (Speaker::new(), Teller::new("web"), pick_port());
        feed.register(&agent.http(), &Mesh::service("api", api.addr(), json!([])));
        let upstreams = json!([{ "DestinationName": "api", "LocalBindPort": port }]);
        feed.register(&agent.http(), &Mesh::service("web", web.addr(), upstreams));
        let start = |service| feed.start(&world, &agent, &envoy, service, &DRAIN);
        let mut envoys = vec![start("api"), start("web")];
        envoys.iter_mut().for_each(EnvoyProcess::await_ready);
        let upstream = SocketAddr::from(([127, 0, 0, 1], port));

        let hello = || Ok("hello".to_owned());
        all_answer("a call is answered", hello(), || tell(upstream, SAY, "hello"));
        let (answers, end) = talk(upstream, &["a", "b", "c"]).expect("a stream");
        assert_eq!(answers, ["a", "b", "c"]);
        assert_eq!((end.code(), end.message()), (Code::DataLoss, "nothing is kept"));
        assert_eq!(end.metadata().get("x-heard").and_then(|value| value.to_str().ok()), Some("3"));
        assert_eq!(tell(upstream, "/mesh.Speaker/None", "x"), Err(Code::Unimplemented));
        assert_eq!(tell(upstream, STUMBLE, "once"), Err(Code::Unavailable), "nobody has said to repeat it");

        let path = json!({ "Action": "allow", "HTTP": { "PathExact": SAY } });
        let deny = json!({ "Action": "deny", "HTTP": { "PathPrefix": "/" } });
        judge(&agent, json!([path, deny]));
        all_answer("the other method is denied", Err(Code::PermissionDenied), || tell(upstream, REPEAT, "x"));
        let before = api.told(REPEAT, "x");
        all_answer("and stays so", Err(Code::PermissionDenied), || tell(upstream, REPEAT, "x"));
        assert_eq!(api.told(REPEAT, "x"), before, "the service is told nothing");
        all_answer("the method is allowed", hello(), || tell(upstream, SAY, "hello"));
        let denied = talk(upstream, &["a"]).expect_err("a stream is denied, too");
        assert_eq!(denied.code(), Code::PermissionDenied);
        judge(&agent, json!([{ "Action": "allow", "HTTP": { "PathPrefix": "/" } }]));
        all_answer("all is allowed again", hello(), || tell(upstream, REPEAT, "hello"));

        let again = json!({ "NumRetries": FAILURES, "RetryOn": ["unavailable"] });
        let routes = json!([{ "Match": { "HTTP": { "PathExact": STUMBLE } }, "Destination": again }]);
        write(&agent, &json!({ "Kind": "service-router", "Name": "api", "Routes": routes }));
        let mut asked = 0;
        let text = eventually("a call that fails is repeated", || {
            asked += 1;
            tell(upstream, STUMBLE, &format!("call {asked}")).ok()
        });
        assert_eq!(api.told(STUMBLE, &text), FAILURES + 1, "as often as needed");
        refused_nothing(&agent, &envoys);
    }
}
