//! `intention …` and `explain`.

use concord_client::testing::{Scripted, Seen};

use super::{Bench, check, file, not_found, refuse};

const EXACT: &str = "/v1/connect/intentions/exact?source=web&destination=db";
const ONE: &str = r#"{"SourceName":"web","DestinationName":"db","SourceNS":"default","DestinationNS":"default",
    "SourceType":"consul","Action":"deny","Precedence":9,"Description":"no"}"#;

/// A server without intentions.
fn none(seen: &Seen) -> Scripted {
    if seen.method == "GET" { not_found() } else { Scripted::ok("true") }
}

/// A server with one intention.
fn one(seen: &Seen) -> Scripted {
    Scripted::ok(if seen.method == "GET" { ONE } else { "true" })
}

#[test]
fn an_intention_is_created() {
    let ran = Bench::scripted(none).run(&["intention", "create", "web", "db"]);
    let write = r#"POST /v1/connect/intentions {"SourceName":"web","DestinationName":"db","SourceType":"consul","Action":"allow"}"#;
    check(&ran, &[&format!("GET {EXACT}"), write], "Created: web => db (allow)\n");
    let ran = Bench::scripted(none).run(&["intention", "create", "-deny", "-meta", "k=v", "web", "db"]);
    assert!(ran.asked[1].ends_with(r#""SourceType":"consul","Action":"deny","Meta":{"k":"v"}}"#), "{ran:?}");
    let ran = Bench::scripted(none).run(&["intention", "create", "ns/web", "part/ns/db"]);
    let names = r#"{"SourceNS":"ns","SourceName":"web","DestinationPartition":"part","DestinationNS":"ns","DestinationName":"db","#;
    assert!(ran.asked[1].contains(names), "{ran:?}");
}

#[test]
fn what_the_older_api_does_not_edit_is_written_by_the_pair() {
    let script = |seen: &Seen| match seen.method.as_str() {
        "GET" => not_found(),
        "POST" => Scripted::status(500, "cannot use legacy intention API"),
        _ => Scripted::ok("true"),
    };
    let ran = Bench::scripted(script).run(&["intention", "create", "web", "db"]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.asked.len()),
        (0, "Created: web => db (allow)\n", 3),
        "{ran:?}"
    );
    assert_eq!(ran.asked[2], format!(r#"PUT {EXACT} {{"SourceType":"consul","Action":"allow"}}"#));
    // With metadata there is no other way than the older API.
    let ran = Bench::scripted(script).run(&["intention", "create", "-meta=k=v", "web", "db"]);
    assert_eq!((ran.code, ran.asked.len()), (1, 2), "{ran:?}");
    assert!(ran.err.contains("cannot use legacy intention API"), "{}", ran.err);
    // If both ways fail, the first refusal is reported.
    let script = |seen: &Seen| match seen.method.as_str() {
        "GET" => not_found(),
        "POST" => Scripted::status(403, "first"),
        _ => Scripted::status(403, "second"),
    };
    let ran = Bench::scripted(script).run(&["intention", "create", "web", "db"]);
    assert!(ran.code == 1 && ran.err.contains("first") && !ran.err.contains("second"), "{}", ran.err);
    // The older API does not accept permissions at all.
    let (_a, path) = file(
        "l7.json",
        r#"{"SourceName":"web","DestinationName":"db","Permissions":[{"Action":"allow","HTTP":{"PathExact":"/"}}]}"#,
    );
    let ran = Bench::scripted(none).run(&["intention", "create", "-file", &path]);
    assert!(ran.asked[1].starts_with(&format!("PUT {EXACT} ")), "{ran:?}");
}

#[test]
fn an_intention_is_replaced_by_its_id_where_it_has_one() {
    let script = |seen: &Seen| {
        Scripted::ok(if seen.method == "GET" {
            r#"{"ID":"i","SourceName":"web","DestinationName":"db"}"#
        } else {
            "true"
        })
    };
    let ran =
        Bench::scripted(script).run(&["intention", "create", "-replace", "-deny", "-meta=k=v", "web", "db"]);
    let write = r#"PUT /v1/connect/intentions/i {"SourceName":"web","DestinationName":"db","SourceType":"consul","Action":"deny","Meta":{"k":"v"}}"#;
    check(&ran, &[&format!("GET {EXACT}"), write], "Updated: web => db (deny)\n");
    let ran = Bench::scripted(one).run(&["intention", "create", "-replace", "-deny", "web", "db"]);
    assert!(ran.asked[1].starts_with(&format!("PUT {EXACT} ")), "one of an entry has none: {ran:?}");
}

#[test]
fn an_intention_that_is_there_is_changed_only_on_request() {
    let ran = Bench::scripted(one).run(&["intention", "create", "web", "db"]);
    assert_eq!((ran.code, ran.asked.len()), (1, 1));
    assert!(ran.err.contains("already an intention from web to db; -replace"), "{}", ran.err);
    let ran = Bench::scripted(one).run(&["intention", "create", "-replace", "web", "db"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Updated: web => db (allow)\n"));
}

#[test]
fn an_intention_that_cannot_be_looked_up_is_not_written() {
    let script = |_: &Seen| Scripted::status(500, "No cluster leader");
    let ran = Bench::scripted(script).run(&["intention", "create", "-replace", "web", "db"]);
    assert_eq!((ran.code, ran.asked.len()), (1, 1));
}

#[test]
fn names_the_agent_refuses_are_said_and_nothing_is_written() {
    let text = "source \"w*\" is invalid: wildcard character '*' cannot be used with partial values";
    let ran = Bench::scripted(move |_| Scripted::status(400, text)).run(&["intention", "create", "w*", "db"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.asked.len()), (1, "", 1), "{ran:?}");
    let expected =
        format!("Error: cannot create the intention from w* to db: Unexpected response code: 400 ({text})\n");
    assert_eq!(ran.err, expected);
    // A complete wildcard is a valid name.
    let ran = Bench::scripted(none).run(&["intention", "create", "*", "db"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Created: * => db (allow)\n"));
}

#[test]
fn intentions_are_created_from_files() {
    let (_a, json) = file("one.json", r#"{"SourceName":"web","DestinationName":"db","Action":"deny"}"#);
    let ran = Bench::scripted(none).run(&["intention", "create", "-file", &json]);
    let body = r#"{"SourceName":"web","DestinationName":"db","Action":"deny"}"#;
    assert_eq!(ran.asked[1], format!("POST /v1/connect/intentions {body}"));
    assert_eq!(ran.out, "Created: web => db (deny)\n");
    let (_b, bad) = file("bad.json", r#"{"SourceName":"web"}"#);
    refuse(&["intention", "create", "-file", &bad], 1, "SourceName and DestinationName are needed");
    let (_c, slip) = file("slip.json", r#"{"SourceName":"web","DestinationName":"db","Acton":"deny"}"#);
    refuse(&["intention", "create", "-file", &slip], 1, "did you mean \"Action\"");
    refuse(&["intention", "create", "-file"], 1, "-file needs at least one file");
    refuse(&["intention", "create", "-allow", "-deny", "a", "b"], 1, "exclude each other");
    refuse(&["intention", "create", "a"], 1, "expected 2 arguments, SRC and DST, found 1");
}

#[test]
fn the_answer_of_a_check_is_the_exit_code_too() {
    let asked = ["GET /v1/connect/intentions/check?source=web&destination=db"];
    let ran = Bench::answering(r#"{"Allowed":true}"#).run(&["intention", "check", "web", "db"]);
    check(&ran, &asked, "Allowed\n");
    let ran = Bench::answering(r#"{"Allowed":false}"#).run(&["intention", "check", "web", "db"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, "Denied\n"));
    for script in [Scripted::status(403, "Permission denied"), Scripted::ok("<html>")] {
        let ran = Bench::scripted(move |_| script.clone()).run(&["intention", "check", "web", "db"]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "no answer is neither yes nor no");
    }
    refuse(&["intention", "check", "web"], 2, "expected 2 arguments");
}

#[test]
fn intentions_are_listed_and_matched() {
    let list = format!(
        r#"[{ONE},{{"SourceName":"*","SourcePeer":"eu","DestinationName":"db","Precedence":8,
        "Permissions":[{{"Action":"allow"}},{{"Action":"deny"}}]}}]"#
    );
    let ran = Bench::answering(&list).run(&["intention", "list"]);
    let table = "\
ID  Source     Action         Destination  Precedence
    web        deny           db           9
    peer:eu/*  2 permissions  db           8
";
    check(&ran, &["GET /v1/connect/intentions"], table);
    let ran = Bench::answering("[]").run(&["intention", "list"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (2, "", "There are no intentions.\n"));
    assert_eq!(Bench::answering("[]").run(&["intention", "list", "-format=json"]).out, "[]\n");
    let ran = Bench::answering(&format!(r#"{{"db":{list}}}"#)).run(&["intention", "match", "db"]);
    let asked = ["GET /v1/connect/intentions/match?by=destination&name=db"];
    check(&ran, &asked, "web => db (deny)\npeer:eu/* => db (2 permissions)\n");
    let ran = Bench::answering("{}").run(&["intention", "match", "-source", "db"]);
    check(&ran, &["GET /v1/connect/intentions/match?by=source&name=db"], "");
    refuse(&["intention", "match", "-source", "-destination", "x"], 1, "exclude each other");
    refuse(&["intention", "match"], 1, "expected one argument");
    refuse(&["intention", "match", "-nope", "x"], 2, "flag provided but not defined: -nope");
}

#[test]
fn an_intention_is_read_and_deleted_by_pair_or_id() {
    let ran = Bench::answering(ONE).run(&["intention", "get", "web", "db"]);
    let text = "\
Source:       web
Destination:  db
Action:       deny
Description:  no
Precedence:   9
";
    check(&ran, &[&format!("GET {EXACT}")], text);
    let whole = r#"{"ID":"i","SourceName":"web","DestinationName":"db","Meta":{"a-long-key":"v"},"Precedence":9,
        "Permissions":[{"Action":"allow"}],"CreatedAt":"2018-10-22T15:33:39Z"}"#;
    let ran = Bench::answering(whole).run(&["intention", "get", "web", "db"]);
    let (values, permissions) = ran.out.split_once("Permissions:\n").expect("permissions");
    let lines: Vec<_> = values.lines().collect();
    assert_eq!(
        [lines[0], lines[1], lines[2], lines[3], lines[4]],
        [
            "Source:            web",
            "Destination:       db",
            "Action:            1 permission",
            "ID:                i",
            "Meta[a-long-key]:  v",
        ]
    );
    // In this machine's time zone.
    assert!(lines[5].starts_with("Created At:        ") && lines[5].contains("-Oct-18 "), "{values}");
    let permissions: serde_json::Value = serde_json::from_str(permissions).expect("JSON");
    assert_eq!(permissions[0]["Action"], "allow");
    let ran = Bench::answering(ONE).run(&["intention", "get", "-format=json", "an-id"]);
    assert_eq!(ran.asked, ["GET /v1/connect/intentions/an-id"]);
    assert!(ran.out.contains("\n    \"Action\": \"deny\",\n"), "{}", ran.out);
    let ran = Bench::answering("true").run(&["intention", "delete", "web", "db"]);
    check(&ran, &[&format!("DELETE {EXACT}")], "Intention deleted.\n");
    let ran = Bench::answering("true").run(&["intention", "delete", "an-id"]);
    check(&ran, &["DELETE /v1/connect/intentions/an-id"], "Intention deleted.\n");
}

#[test]
fn an_explanation_reads_as_sentences() {
    let answer = format!(
        r#"{{"Source":"web","Destination":"db","Allowed":false,"Verdict":"denied",
        "Reason":"Matched L4 intention: default/web => default/db (Precedence: 9, Action: DENY)",
        "DecidedBy":"intention","Intention":{ONE},
        "Shadows":[{{"SourceName":"*","DestinationName":"db","Action":"allow","Precedence":8}}],
        "SmallestChange":{{"Summary":"change intention web => db from deny to allow","Step":"set",
            "Source":"web","Destination":"db","From":"deny","To":"allow","Affected":0,"AffectedComplete":true}},
        "Alternatives":[{{"Summary":"remove intention * => * (deny)","Step":"remove","Affected":12,
            "AffectedComplete":false,"AffectedPairs":[{{"Source":"a","Destination":"b","Allowed":true}}]}}]}}"#
    );
    let text = "\
Denied: web => db

Why
  Matched L4 intention: default/web => default/db (Precedence: 9, Action: DENY)
  Described as: no

Hides
  * => db (allow) (precedence 8)

Smallest change to allow it
  change intention web => db from deny to allow
  Changes no other pair of known services.

Or
  remove intention * => * (deny)
  Also changes at least 12 other pairs:
    a => b becomes allowed
    and at least 2 more
";
    let asked = ["GET /v1/connect/intentions/explain?source=web&destination=db"];
    check(&Bench::answering(&answer).run(&["explain", "web", "db"]), &asked, text);
    let json = Bench::answering(&answer).run(&["explain", "-format=json", "web", "db"]).out;
    assert!(json.contains("\"Step\": \"set\""), "{json}");
    refuse(&["explain", "web"], 1, "expected 2 arguments, SOURCE and DESTINATION, found 1");
}

#[test]
fn a_request_is_explained_with_what_was_tried() {
    let answer = r#"{"Source":"web","Destination":"db","Protocol":"http","Allowed":false,"Verdict":"denied",
        "Reason":"r","DecidedBy":"permission","Path":"/admin","PathAmbiguous":true,"Tried":[
        {"Permission":0,"Action":"allow","Applies":false,"Fit":"no","Condition":"HTTP.Methods"},
        {"Permission":1,"Action":"allow","Applies":false,"Fit":"unclear","Condition":"HTTP.Header[0]"},
        {"Permission":2,"Action":"deny","Applies":true,"Fit":"yes"}],
        "Changes":[{"Summary":"insert it","Reach":"request"},
        {"Summary":"set it","Reach":"permission","OtherCallers":12,"Callers":["a","b"]}]}"#;
    let text = "Denied: web => db
The backend is sent the path /admin (backends may read it in different ways)

Why
  r
  Permissions[0] (allow) does not apply: HTTP.Methods does not fit
  Permissions[1] (allow) does not apply: HTTP.Header[0] is unclear
  Permissions[2] (deny) applies

Smallest change to allow it
  insert it
  Is about requests with this method and path.

Or
  set it
  Is about all requests for which this permission decides.
  Also changes it for 12 other callers:
    a
    b
    and 2 more
";
    let asked = ["GET /v1/connect/intentions/explain?source=web&destination=db&method=POST&path=%2Fadmin\
                  &header=x%3Dy&header=x%3Dz&claims=okta%3D%7B%7D"];
    let arguments = [
        "explain",
        "-path=/admin",
        "-method=POST",
        "-header=x=y",
        "-header=x=z",
        "-claims=okta={}",
        "web",
        "db",
    ];
    check(&Bench::answering(answer).run(&arguments), &asked, text);
    refuse(&["explain", "-header=x", "web", "db"], 1, "header");
    let none = r#"{"Source":"web","Destination":"db","Allowed":true,"Verdict":"allowed","Reason":"r","WhyNoChange":"because"}"#;
    let ran = Bench::answering(none).run(&["explain", "-path=/", "web", "db"]);
    assert!(ran.out.ends_with("\nNo single change would deny it: because\n"), "{}", ran.out);
}

#[test]
fn a_request_is_explained_with_where_it_goes() {
    let route = r#"{"Origin":{"Kind":"service-router","Name":"db","Field":"Routes[0]"},
        "ProtocolOrigin":{"Kind":"proxy-defaults","Name":"global","Field":"Config"},
        "Settings":[{"Setting":"NumRetries","Value":3,
            "Origin":{"Kind":"service-router","Name":"db","Field":"Routes[0].Destination.NumRetries"}}],
        "Path":"/x","PartsCount":3,"Parts":[
        {"Weight":90.5,"Origins":[{"Kind":"service-splitter","Name":"db","Field":"Splits[0]"}],
            "Settings":[{"Setting":"ConnectTimeout","Value":"5s"}],
            "Targets":[{"ID":"v1","Service":"db","Subset":"v1","Datacenter":"dc1","Allowed":true,"Reason":"r"},
            {"ID":"e","Service":"peer:east/db","Reason":"they decide",
             "Origins":[{"Kind":"service-resolver","Name":"db","Field":"Failover[\"*\"]"}]}]},
        {"Weight":9.5,"Targets":[{"ID":"a","Service":"admin","Datacenter":"dc2","Allowed":false,"Reason":"no"}]}]}"#;
    let answer = format!(
        r#"{{"Source":"web","Destination":"db","Protocol":"http","Allowed":false,"Verdict":"depends",
        "Reason":"r","DecidedBy":"targets","At":[{{"Source":"web","Destination":"db","Protocol":"http","Allowed":true,
        "Verdict":"allowed","Reason":"s","Path":"/a","WhyNoChange":"because"}},
        {{"Source":"web","Destination":"admin","Protocol":"http","Verdict":"denied","Reason":"t","ProtocolNote":"so it is",
        "Changes":[{{"Summary":"set it","Reach":"pair"}}]}}],"Route":{route}}}"#
    );
    let text = "Depends on the target: web => db

At db: Allowed
The backend is sent the path /a

Why
  s

No single change would deny it: because

At admin: Denied
About its protocol: so it is

Why
  t

Smallest change to allow it
  set it
  Is about all requests of the pair.

Where it goes
  Protocol http, by Config of proxy-defaults \"global\"
  Taken by Routes[0] of service-router \"db\"
    NumRetries 3, by Routes[0].Destination.NumRetries of service-router \"db\"
    Arrives as /x
  90.5 % to db, subset v1, in dc1, by Splits[0] of service-splitter \"db\"
      Allowed there: r
      ConnectTimeout 5s (default)
    else to peer:east/db, by Failover[\"*\"] of service-resolver \"db\"
      Not known there: they decide
  9.5 % to admin, in dc2
      Denied there: no
  and 1 more part
";
    let asked = ["GET /v1/connect/intentions/explain?source=web&destination=db&path=%2Fa"];
    // The flags of a command that Consul lacks may stand anywhere.
    for line in [["explain", "web", "db", "-path", "/a"], ["explain", "-path", "/a", "web", "db"]] {
        check(&Bench::answering(&answer).run(&line), &asked, text);
    }
    let untold = r#"{"Source":"web","Destination":"db","Allowed":true,"Reason":"r","WhyNoChange":"b","WhyNoRoute":"w"}"#;
    let ran = Bench::answering(untold).run(&["explain", "web", "db", "-path=/"]);
    assert!(ran.out.ends_with("\nWhere it goes is not told: w\n"), "{}", ran.out);
}

#[test]
fn an_explanation_may_know_no_single_change() {
    let answer = r#"{"Source":"web","Destination":"db","Allowed":true,"Verdict":"allowed","Reason":"r","NoChange":"because"}"#;
    let ran = Bench::answering(answer).run(&["explain", "web", "db"]);
    assert!(ran.out.ends_with("\nNo single change would deny it: because\n"), "{}", ran.out);
}

#[test]
fn what_an_agent_explains_cannot_control_the_terminal() {
    let answer = r#"{"Source":"w\u202eeb","Destination":"db","Reason":"r\u0007\nAllowed","NoChange":"b"}"#;
    for line in [&["explain", "web", "db"][..], &["explain", "-path=/", "web", "db"]] {
        let ran = Bench::answering(answer).run(line);
        assert!(ran.out.starts_with("Not known: w eb => db\n\nWhy\n  r  Allowed\n"), "{:?}", ran.out);
    }
    refuse(&["explain", "-path=", "web", "db"], 1, "-path is empty");
    refuse(&["explain", "-path=", "-method=PUT", "web", "db"], 1, "-path is empty");
}

#[test]
fn a_connection_is_explained_where_it_goes() {
    let route = r#""Route":{"PartsCount":1,"Parts":[{"Weight":100,"Targets":[{"Service":"other","Allowed":false,"Reason":"s",
        "Origins":[{"Kind":"service-resolver","Name":"db","Field":"Redirect"}]}]}]}"#;
    let once = format!(
        r#"{{"Source":"web","Destination":"db","Verdict":"denied","JudgedAt":"other","Reason":"s","NoChange":"b",{route}}}"#
    );
    let goes = "\nWhere it goes\n  100 % to other\n      Denied there: s\n";
    let asked = ["GET /v1/connect/intentions/explain?source=web&destination=db"];
    let text = "Denied: web => db\nIt is led to other, which decides\n\nWhy\n  s\n\n\
                No single change would allow it: b\n";
    check(&Bench::answering(&once).run(&["explain", "web", "db"]), &asked, &format!("{text}{goes}"));
    let several = r#"{"Source":"web","Destination":"db","Verdict":"depends","Reason":"r","DecidedBy":"targets",
        "At":[{"Destination":"db","Allowed":true,"Verdict":"allowed","Reason":"s","NoChange":"b"}]}"#;
    let text = "Depends on the target: web => db\n\nAt db: Allowed\n\nWhy\n  s\n\n\
                No single change would deny it: b\n";
    check(&Bench::answering(several).run(&["explain", "web", "db"]), &asked, text);
    let unknown =
        r#"{"Source":"web","Destination":"db","Reason":"r","DecidedBy":"targets","WhyNoRoute":"w"}"#;
    let text = "Not known: web => db\n\nWhy\n  r\n\nWhere it goes is not told: w\n";
    check(&Bench::answering(unknown).run(&["explain", "web", "db"]), &asked, text);
}
