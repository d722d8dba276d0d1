//! Every reply there is, asked for by callers with every sort of rights: what a request declares to need is what
//! happens, and whatever stands in a reply is for its caller to see.
//!
//! What may be seen is said beside each request once more, and decided by an oracle that shares no line with the
//! product. A request without a row here is a test that fails; a reply that grows a field which shows more is one as
//! well, since things are recognised in all texts of a reply.

mod filled;
mod oracle;
mod reads;
mod writes;

use std::collections::BTreeSet;

use concord_rpc::request::ReadStatus;
use concord_rpc::{Answer, AnyReply, AnyRequest, Identity, Need, RpcError, ServerApi};

use self::filled::{Caller, Filled, INSTANCES, needs_of_name, texts};
use self::oracle::{Needs, Rules};
use self::reads::{Read, Row};

fn has_row<'a>(rows: impl Iterator<Item = &'a AnyRequest>, writes: bool) {
    let rows: BTreeSet<_> = rows.map(AnyRequest::name).collect();
    let declared = AnyRequest::DECLARED.iter().filter(|(_, terms)| terms.writes == writes);
    let declared: BTreeSet<_> = declared.map(|(name, _)| *name).collect();
    let (lacking, file) =
        (declared.symmetric_difference(&rows), if writes { "writes.rs" } else { "reads.rs" });
    let lacking: Vec<_> = lacking.collect();
    assert!(
        lacking.is_empty(),
        "{lacking:?} have no row in tests/it/replies/{file}, or belong to the other file"
    );
}

fn texts_of(value: &impl serde::Serialize) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    texts(&serde_json::to_value(value).unwrap(), &mut all);
    all
}

#[tokio::test(start_paused = true)]
async fn n_177_a_reply_shows_what_its_caller_may_see_and_nothing_else() {
    let filled = Filled::new().await;
    let reads = reads::all(&filled);
    has_row(reads.iter().map(|read| &read.request), false);
    let (mut shown, mut hidden, mut refused) = (0, 0, 0);
    for read in &reads {
        declares_as_written(read);
        let mut first: Option<Answer<AnyReply>> = None;
        for caller in &filled.callers {
            let answer = filled.host.api.call_any(caller.head(), read.request.clone()).await;
            let whose = format!("{:?} by {} with {:?}", read.request, caller.name, caller.rules.text());
            let Some(answer) = let_in(read, caller, answer, &whose) else {
                refused += 1;
                continue;
            };
            let things = judge(&filled, read, caller, &answer, &whose);
            shown += things;
            hidden += usize::from(answer.filtered);
            if read.request.need() == Need::Open {
                assert_eq!(first.get_or_insert_with(|| answer.clone()).value, answer.value, "{whose}");
            }
        }
    }
    assert!(
        shown > 5000 && hidden > 500 && refused > 500,
        "{shown} shown, {hidden} filtered, {refused} refused"
    );
    filled.host.stop().await;
}

/// Whether the row is of the sort that the request declares itself to be.
fn declares_as_written(read: &Read) {
    let nobody = Rules(Vec::new());
    let (whole, rows) = (nobody.open(&read.whole), read.rows.iter().all(|row| nobody.open(&row.needs)));
    let right = match read.request.need() {
        Need::Open => whole && rows,
        Need::Filtered | Need::OwnToken => whole,
        Need::CheckedAt(_) | Need::Right(_) | Need::All(_) | Need::AnyOf(_) => !whole,
    };
    assert!(right, "{:?} needs {:?}", read.request, read.request.need());
}

/// Whether a caller's token counts for a request: nobody's token is looked at where everybody is let in.
fn counts(request: &AnyRequest) -> bool {
    request.terms().identity == Identity::Caller
}

/// The answer, to whom it is due.
fn let_in(
    read: &Read,
    caller: &Caller,
    answer: Result<Answer<AnyReply>, RpcError>,
    whose: &str,
) -> Option<Answer<AnyReply>> {
    let asks_for_one = matches!(read.request, AnyRequest::ReadOwnToken(_) | AnyRequest::ListServers(_));
    let proof = asks_for_one && caller.secret.is_none();
    if counts(&read.request) && (caller.is("unknown") || proof) {
        assert_eq!(answer.unwrap_err(), RpcError::TokenNotFound, "{whose}");
        return None;
    }
    if caller.rules.open(&read.whole) {
        return Some(answer.unwrap_or_else(|error| panic!("{whose}: {error}")));
    }
    assert!(matches!(answer, Err(RpcError::Denied(_))), "{whose}: {answer:?}");
    None
}

/// Holds an answer against what the caller may see; returns how many things it shows.
fn judge(filled: &Filled, read: &Read, caller: &Caller, answer: &Answer<AnyReply>, whose: &str) -> usize {
    let open = |row: &&Row| caller.rules.open(&row.needs);
    let mut expected: BTreeSet<String> =
        read.rows.iter().filter(open).flat_map(|row| row.shows.iter().cloned()).collect();
    expected.extend(own(read, caller));
    let texts = texts_of(&answer.value);
    let shown = filled.shown(&texts);
    assert_eq!(shown, expected, "{whose}");
    let judged = read.judged.as_ref().unwrap_or(&read.rows);
    let hides = judged.iter().any(|row| !open(&row)) && caller.secret.is_some() && counts(&read.request);
    assert_eq!(answer.filtered, hides, "{whose}: whether something was hidden");
    let asked = texts_of(&read.request);
    let said = |text: &&String| !asked.contains(*text) && !read.says.contains(&text.as_str());
    for text in texts.iter().filter(said) {
        let needs = match &read.request {
            // An explanation names services of the catalog, to who may see an instance of them.
            AnyRequest::ExplainIntention(_) | AnyRequest::ExplainRequest(_) => {
                let of_it = INSTANCES.iter().filter(|one| one.service == text);
                Some(
                    of_it
                        .map(|one| vec![("node", one.node, "read"), ("service", one.service, "read")])
                        .collect(),
                )
                .filter(|needs: &Needs| !needs.is_empty())
            }
            _ => needs_of_name(text),
        };
        assert!(needs.is_none_or(|needs| caller.rules.open(&needs)), "{whose} is told of {text:?}");
    }
    shown.len()
}

/// What a caller is shown of itself.
fn own(read: &Read, caller: &Caller) -> Vec<String> {
    let name = &caller.name;
    match &read.request {
        AnyRequest::ReadOwnToken(_) if caller.is("root") => vec![format!("secret {name}")],
        AnyRequest::ReadOwnToken(_) => vec![format!("secret {name}"), format!("token {name}")],
        AnyRequest::ResolveToken(_) if caller.policy.is_some() => vec![format!("policy {name}")],
        _ => Vec::new(),
    }
}

/// How far the log has come.
async fn written(filled: &Filled) -> u64 {
    let status = filled.host.ask(ReadStatus {}).await.unwrap().value;
    status.last_log_index
}

/// Who sends no token has the rights of the anonymous token, and is never told that something is hidden. Nobody else
/// has them: not even who sends a token that is unknown.
#[tokio::test(start_paused = true)]
async fn n_177_who_sends_no_token_sees_what_is_for_everybody_and_is_not_told_of_the_rest() {
    let filled = Filled::new().await;
    let reads = reads::all(&filled);
    let mut shown = 0;
    for (at, like) in filled.callers.iter().enumerate().filter(|(_, caller)| !caller.is("root")) {
        let mut nobody = Caller { secret: None, accessor: None, ..like.clone() };
        match like.policy {
            Some(policy) => filled.for_nobody(policy).await,
            None => nobody.secret = like.secret.clone(),
        }
        let caller = &nobody;
        for read in reads.iter().filter(|read| at % 4 == 0 || read.request.need() == Need::Filtered) {
            let answer = filled.host.api.call_any(caller.head(), read.request.clone()).await;
            let whose = format!("{:?} by {} with {:?}", read.request, caller.name, caller.rules.text());
            if let Some(answer) = let_in(read, caller, answer, &whose) {
                shown += judge(&filled, read, caller, &answer, &whose);
            }
        }
    }
    assert!(shown > 1000, "{shown} shown");
    filled.host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_177_a_write_takes_its_right_and_changes_nothing_without_it() {
    let mut filled = Filled::new().await;
    let writes = writes::all(&filled);
    has_row(writes.iter().map(|write| &write.request), true);
    let (mut refused, mut done) = (0, 0);
    for (at, write) in writes.iter().enumerate() {
        // Who is refused changes nothing, so that all of them find the same.
        let (open, closed): (Vec<_>, Vec<_>) =
            (0..filled.callers.len()).partition(|who| filled.callers[*who].rules.open(&write.needs));
        filled.fill().await;
        let now = writes::all(&filled).swap_remove(at);
        for who in closed {
            let (caller, before) = (&filled.callers[who], written(&filled).await);
            let answer = filled.host.api.call_any(caller.head(), now.request.clone()).await;
            let whose = format!("{:?} by {} with {:?}", now.request, caller.name, caller.rules.text());
            match answer {
                Err(RpcError::Denied(_)) => {}
                Err(RpcError::TokenNotFound) if counts(&now.request) && caller.is("unknown") => {}
                other => panic!("{whose}: {other:?}"),
            }
            assert_eq!(written(&filled).await, before, "{whose}: something was written");
            refused += 1;
        }
        for who in open {
            filled.fill().await;
            let now = writes::all(&filled).swap_remove(at);
            let caller = &filled.callers[who];
            let answer = filled.host.api.call_any(caller.head(), now.request.clone()).await;
            let whose = format!("{:?} by {} with {:?}", now.request, caller.name, caller.rules.text());
            answer.unwrap_or_else(|error| panic!("{whose}: {error}"));
            done += 1;
        }
    }
    assert!(refused > 1000 && done > 100, "{refused} refused, {done} done");
    filled.host.stop().await;
}
