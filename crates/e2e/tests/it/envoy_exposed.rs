//! Exposed paths at real Envoys: served to everybody in clear, these paths and no others, whatever intentions say.

use std::net::SocketAddr;

use concord_e2e::{EnvoyProcess, Mesh, Teller, World, all_answer, ask, pick_port};
use serde_json::{Value, json};
use tonic::Code;

use crate::envoy_routes::write;
use crate::envoy_sidecar::{DRAIN, envoys_by_feeds, intention, refused_nothing};
use crate::grpc::{REPEAT, SAY, Speaker, tell};

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The status of an answer, and who gives it. `None` if there is no answer.
fn at(port: u16, path: &str) -> Option<(u16, String)> {
    let told = ask(local(port), "GET", path, &[]).ok()?;
    Some((told.status, told.said["name"].as_str().unwrap_or_default().to_owned()))
}

fn path(path: &str, listener: u16, service: SocketAddr, protocol: &str) -> Value {
    json!({ "Path": path, "ListenerPort": listener, "LocalPathPort": service.port(), "Protocol": protocol })
}

#[test]
fn an_exposed_path_needs_no_certificate_and_opens_no_other() {
    for (envoy, feed) in envoys_by_feeds("an_exposed_path_needs_no_certificate_and_opens_no_other") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        write(&agent, &json!({ "Kind": "service-defaults", "Name": "api", "Protocol": "http" }));
        intention(&agent, "deny");
        let (api, other, web, speaker) =
            (Teller::new("api"), Teller::new("other"), Teller::new("web"), Speaker::new());
        let [upstream, own, foreign, called] = [pick_port(), pick_port(), pick_port(), pick_port()];
        let mut body = Mesh::service("api", api.addr(), json!([]));
        let public = body["Connect"]["SidecarService"]["Port"].as_u64().expect("a port") as u16;
        let mut expose = |paths: Value| {
            body["Connect"]["SidecarService"]["Proxy"]["Expose"] = json!({ "Paths": paths });
            feed.register(&agent.http(), &body);
        };
        expose(json!([
            path("/health", own, api.addr(), "http"),
            // The protocol is http if none is named.
            path("/live", foreign, other.addr(), ""),
            path(SAY, called, speaker.addr(), "http2"),
        ]));
        let upstreams = json!([{ "DestinationName": "api", "LocalBindPort": upstream }]);
        feed.register(&agent.http(), &Mesh::service("web", web.addr(), upstreams));
        let start = |service| feed.start(&world, &agent, &envoy, service, &DRAIN);
        let mut envoys = vec![start("api"), start("web")];
        envoys.iter_mut().for_each(EnvoyProcess::await_ready);

        let by = |name: &str| Some((200, name.to_owned()));
        let nobody = Some((404, String::new()));
        all_answer("a path of the service", by("api"), || at(own, "/health"));
        all_answer("a path at another port", by("other"), || at(foreign, "/live"));
        all_answer("a call", Ok("hello".to_owned()), || tell(local(called), SAY, "hello"));
        for (port, path) in
            [(own, "/"), (own, "/health/x"), (own, "/healthy"), (own, "/live"), (foreign, "/health")]
        {
            all_answer(&format!("{path} at {port}"), nobody.clone(), || at(port, path));
        }
        all_answer("another method", Err(Code::Unimplemented), || tell(local(called), REPEAT, "hello"));
        assert_eq!(speaker.told(REPEAT, "hello"), 0);
        all_answer("the mesh denies the path", Some((403, String::new())), || at(upstream, "/health"));
        all_answer("the mesh needs a certificate", None, || at(public, "/health"));
        all_answer("the path is still served", by("api"), || at(own, "/health"));

        expose(json!([path("/ready", own, api.addr(), "http")]));
        all_answer("the other path", by("api"), || at(own, "/ready"));
        all_answer("the former path", nobody, || at(own, "/health"));
        for port in [foreign, called] {
            all_answer("a port that serves no path any more", None, || at(port, "/live"));
        }
        expose(json!([]));
        all_answer("no path any more", None, || at(own, "/ready"));
        all_answer("the mesh denies as before", Some((403, String::new())), || at(upstream, "/ready"));
        refused_nothing(&agent, &envoys);
    }
}
