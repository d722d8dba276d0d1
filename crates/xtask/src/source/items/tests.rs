//! Tests which items are found.

use std::path::PathBuf;

use super::*;

fn file(module: &[&str], text: &str) -> SourceFile {
    SourceFile {
        path: PathBuf::from("crates/x/src").join(module.join("/")).with_extension("rs"),
        target: Target::Main,
        module: module.iter().map(|name| (*name).to_owned()).collect(),
        text: text.to_owned(),
    }
}

fn index() -> Index {
    Index::of(&[
        file(
            &[],
            "//! x\npub mod store; mod verdict;\npub use verdict::{Reason, Verdict as Outcome};\npub use store::*;\n\
             pub const LIMIT: usize = 3; pub(crate) fn top(_: impl Fn()) -> impl Iterator { fn hidden() {} }",
        ),
        file(
            &["store"],
            "pub struct Store { rows: Vec<u8> }\n\
             impl<T: Fn(u8) -> u8> Iterator for Store<T> where T: Send { fn next(&mut self) { let x = 1; } }\n\
             impl Store { pub const fn new() -> Self { Self } #[must_use] pub async fn apply(&self) {} }\n\
             pub trait Port { type Out; fn call(&self) -> &'static str; }\n\
             pub mod inner { pub fn deep() {} }\n\
             macro_rules! made { ($($name:ident),*) => { pub enum Made { $($name),* } impl Made { pub fn kind(&self) {} } }; }\n\
             pub static TABLE: [u8; 2] = [1, 2]; pub type Alias = u8;",
        ),
        file(
            &["verdict"],
            "pub enum Verdict { #[default] Allow, Deny { by: Rule }, Tuple(u8, u16), Last }\n\
             pub enum Reason { None } impl Verdict { fn flip(self) -> Self { match self { Self::Allow => x } } }",
        ),
    ])
}

#[track_caller]
fn check(path: &str, expected: bool) {
    let parts: Vec<&str> = path.split("::").collect();
    assert_eq!(index().contains(&parts), expected, "{path}");
}

#[test]
fn items_are_found_by_their_path() {
    check("store", true);
    check("store::Store", true);
    check("store::Store::apply", true);
    check("store::Store::new", true);
    check("store::Store::next", true);
    check("store::Port::call", true);
    check("store::Port::Out", true);
    check("store::inner::deep", true);
    check("store::TABLE", true);
    check("store::Alias", true);
    check("store::Made::kind", true);
    check("LIMIT", true);
    check("top", true);
    check("verdict::Verdict::Deny", true);
    check("verdict::Verdict::Last", true);
    check("verdict::Verdict::flip", true);
}

#[test]
fn items_are_found_where_they_are_published() {
    check("Store::apply", true);
    check("Reason::None", true);
    check("Outcome", true);
}

#[test]
fn what_does_not_exist_is_not_found() {
    check("store::Store::undo", false);
    check("store::Shop", false);
    check("shop", false);
    check("hidden", false);
    check("store::x", false);
    check("Verdict", false);
    check("verdict::Verdict::by", false);
    check("verdict::Verdict::Rule", false);
    check("store::Store::apply::deeper", false);
}

#[test]
fn functions_carry_their_module() {
    let text = "fn a() {} mod tests { proptest! { #[test] fn n_1_b(x in 0..3) { fn no() {} } } }";
    let found = functions(&["m".to_owned()], text);
    let names: Vec<String> = found.iter().map(|f| format!("{}::{}", f.module.join("::"), f.name)).collect();
    assert_eq!(names, ["m::a", "m::tests::n_1_b"]);
}

#[test]
fn a_function_that_a_harness_runs_is_told_apart() {
    let text = "#[cfg(test)] mod tests { #[test] #[ignore] fn a() {} fn b() {} #[cfg(test)] fn c() {} \
                #[tokio::test(flavor = \"x\")] async fn d() {} #[allow(dead_code)] fn e() {} }";
    let found = functions(&[], text);
    let tests: Vec<&str> = found.iter().filter(|f| f.is_test).map(|f| f.name.as_str()).collect();
    assert_eq!((found.len(), tests), (5, vec!["a", "d"]));
}
