//! Tests of circles in small crates.

use super::*;
use crate::source::place;

fn sources(files: &[(&str, &str)]) -> BTreeMap<String, Vec<SourceFile>> {
    let files = files
        .iter()
        .map(|(path, text)| {
            let (target, module) = place(Path::new(path));
            SourceFile { path: Path::new(path).to_path_buf(), target, module, text: (*text).to_owned() }
        })
        .collect();
    BTreeMap::from([("x".to_owned(), files)])
}

/// Checks the circles by the names of their files.
#[track_caller]
fn check_finds(files: &[(&str, &str)], expected: &[&[&str]]) {
    let sources = sources(files);
    let found: Vec<Vec<&str>> = circles(&sources)
        .into_iter()
        .map(|circle| circle.files.iter().map(|path| path.to_str().unwrap()).collect())
        .collect();
    assert_eq!(found, expected);
}

const ROOT: (&str, &str) = ("src/lib.rs", "mod a; mod b;");
const BOTH: &[&[&str]] = &[&["src/a.rs", "src/b.rs"]];

#[test]
fn two_files_that_name_each_other_are_a_circle() {
    let b = ("src/b.rs", "use crate::a::A; pub struct B(A);");
    check_finds(&[ROOT, ("src/a.rs", "use crate::b::B; pub struct A;"), b], BOTH);
    check_finds(&[ROOT, ("src/a.rs", "pub struct A; fn f(b: super::b::B) {}"), b], BOTH);
    check_finds(&[ROOT, ("src/a.rs", "use super::b; pub struct A; fn f(x: b::B) {}"), b], BOTH);
    check_finds(&[ROOT, ("src/a.rs", "use super::b::*; pub struct A; fn f(x: B) {}"), b], BOTH);
    check_finds(&[ROOT, ("src/a.rs", "pub struct A; mod c { fn f() { crate::b::B::new() } }"), b], BOTH);
}

#[test]
fn an_arrow_one_way_is_none() {
    let b = ("src/b.rs", "use crate::a::A; pub struct B(A);");
    check_finds(&[ROOT, ("src/a.rs", "pub struct A;"), b], &[]);
    check_finds(
        &[ROOT, ("src/a.rs", "pub struct A; // crate::b::B\nconst X: &str = \"crate::b::B\";"), b],
        &[],
    );
    check_finds(&[ROOT, ("src/a.rs", "use other::b::B; pub struct A;"), b], &[]);
    check_finds(&[ROOT, ("src/a.rs", "pub struct A; enum E { B } fn f() { E::B; x.B; }"), b], &[]);
}

#[test]
fn what_is_for_tests_does_not_count() {
    let b = ("src/b.rs", "use crate::a::A; pub struct B(A);");
    let inline = "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }";
    check_finds(&[ROOT, ("src/a.rs", inline), b], &[]);
    check_finds(&[ROOT, ("src/a.rs", "pub struct A; #[cfg(test)] use crate::b::B;"), b], &[]);
    let tests = ("src/a/tests.rs", "use crate::b::B; pub struct T;");
    check_finds(&[ROOT, ("src/a.rs", "pub struct A; #[cfg(test)] mod tests;"), tests, b], &[]);
}

#[test]
fn a_parent_that_passes_on_is_not_named() {
    let c = ("src/a/c.rs", "use super::D; pub struct C(D);");
    let d = ("src/a/d.rs", "pub struct D;");
    check_finds(&[("src/a.rs", "mod c; mod d; pub use self::c::C; pub use self::d::D;"), c, d], &[]);
    check_finds(
        &[("src/a.rs", "mod c; mod d; use self::c::C; use self::d::D; fn f(c: C, d: D) {}"), c, d],
        &[],
    );
}

#[test]
fn a_parent_and_a_child_that_name_each_other_are_a_circle() {
    let circle: &[&[&str]] = &[&["src/a.rs", "src/a/c.rs"]];
    let c = ("src/a/c.rs", "use super::A; pub struct C(A);");
    check_finds(&[("src/a.rs", "mod c; use self::c::C; pub struct A(C);"), c], circle);
    check_finds(&[("src/a.rs", "mod c; pub use self::c::C; pub struct A(C);"), c], circle);
    check_finds(&[("src/a.rs", "mod c; pub struct A; fn f() { c::C::new() }"), c], circle);
    check_finds(&[("src/a.rs", "mod c; pub use self::c::C; pub struct A;"), c], &[]);
}

#[test]
fn a_name_passed_on_twice_is_followed_to_its_file() {
    let circle: &[&[&str]] = &[&["src/a/c.rs", "src/b.rs"]];
    let root = ("src/lib.rs", "mod a; mod b; pub use a::C as Q;");
    let parent = ("src/a.rs", "mod c; pub use c::*;");
    let c = ("src/a/c.rs", "use crate::b::B; pub struct C(B);");
    check_finds(&[root, parent, c, ("src/b.rs", "use crate::Q; pub struct B(Q);")], circle);
    check_finds(&[root, parent, c, ("src/b.rs", "use crate::R; pub struct B(R);")], &[]);
}

#[test]
fn a_circle_of_three_is_one_and_two_apart_are_two() {
    let a = ("src/a.rs", "use crate::b::B; pub struct A;");
    let b = ("src/b.rs", "use crate::c::C; pub struct B;");
    check_finds(
        &[a, b, ("src/c.rs", "use crate::a::A; pub struct C;")],
        &[&["src/a.rs", "src/b.rs", "src/c.rs"]],
    );
    check_finds(&[a, b, ("src/c.rs", "pub struct C;")], &[]);
    check_finds(
        &[
            a,
            ("src/b.rs", "use crate::a::A; pub struct B;"),
            ("src/c.rs", "use crate::d::D; pub struct C;"),
            ("src/d.rs", "use crate::c::C; pub struct D;"),
        ],
        &[&["src/a.rs", "src/b.rs"], &["src/c.rs", "src/d.rs"]],
    );
}

/// A crate with this number of circles of this number of files each.
fn rings(circles: usize, files: usize) -> BTreeMap<String, Vec<SourceFile>> {
    let made: Vec<(String, String)> = (0..circles)
        .flat_map(|circle| {
            (0..files).map(move |at| {
                let next = (at + 1) % files;
                let text = format!("use crate::c{circle}_{next}::T{next}; pub struct T{at};");
                (format!("src/c{circle}_{at}.rs"), text)
            })
        })
        .collect();
    let made: Vec<(&str, &str)> = made.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    sources(&made)
}

#[test]
fn too_many_circles_and_too_large_ones_are_red() {
    assert!(check(&rings(CIRCLES_MAX, FILES_MAX)).is_empty());
    assert_eq!(check(&rings(CIRCLES_MAX + 1, 2)).len(), CIRCLES_MAX + 1);
    assert_eq!(check(&rings(1, FILES_MAX + 1)).len(), 1);
}

#[test]
fn a_finding_tells_who_names_what() {
    let made = rings(1, 3);
    let found: Vec<String> = circles(&made).iter().map(|circle| finding(circle).to_string()).collect();
    assert_eq!(
        found,
        ["circle    src/c0_0.rs: is in a circle of 3 files\n  \
          src/c0_0.rs names T1 of src/c0_1.rs\n  \
          src/c0_1.rs names T2 of src/c0_2.rs\n  \
          src/c0_2.rs names T0 of src/c0_0.rs"]
    );
    let counted = count(&rings(2, 3));
    assert!(counted.starts_with("2 circles of files") && counted.contains("largest of 3"), "{counted}");
}
