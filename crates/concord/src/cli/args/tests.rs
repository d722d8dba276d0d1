//! Tests of Go's flag syntax.

use super::*;

fn flags() -> Vec<Flag> {
    vec![
        Flag::switch("b", ""),
        Flag::switch("other", ""),
        Flag::text("s", "").default("standard").variable(Variable::Product("S")),
        Flag::text("t", ""),
        Flag::text("format", "").default("pretty").choices(&["pretty", "json"]),
        Flag::integer("i", ""),
        Flag::unsigned("u", ""),
        Flag::duration("d", "").variable(Variable::Exact("CONNECT_PROXY_ID")),
        Flag::list("l", ""),
        Flag::pairs("kv", ""),
    ]
}

fn read(line: &[&str]) -> Result<Values, ArgsError> {
    let args: Vec<_> = line.iter().map(|arg| (*arg).to_owned()).collect();
    parse(flags(), &args, &Env::default(), Order::FlagsFirst)
}

/// Checks the parsed flags, as `name=value` in the order of their names, and then the arguments.
#[track_caller]
fn check(line: &[&str], flags: &[&str], arguments: &[&str]) {
    let values = read(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    let given: Vec<_> = values
        .flags()
        .iter()
        .flat_map(|flag| values.list(flag.name).iter().map(|value| format!("{}={value}", flag.name)))
        .collect();
    assert_eq!(given, flags, "{line:?}");
    assert_eq!(values.arguments, arguments, "{line:?}");
}

#[track_caller]
fn refuse(line: &[&str], message: &str) {
    assert_eq!(
        read(line).map(|values| values.arguments).map_err(|error| error.to_string()),
        Err(message.to_owned())
    );
}

#[test]
fn one_or_two_dashes_with_the_value_apart_or_joined() {
    for line in [&["-s", "v"][..], &["-s=v"], &["--s", "v"], &["--s=v"]] {
        check(line, &["s=v"], &[]);
    }
    check(&["-t="], &["t="], &[]);
    check(&["-t", ""], &["t="], &[]);
    check(&["-s=a=b"], &["s=a=b"], &[]);
    check(&["-s", "-b"], &["s=-b"], &[]);
    check(&["-s", "--"], &["s=--"], &[]);
}

#[test]
fn an_empty_value_leaves_it_to_the_variable() {
    let read = |line: &[&str], variables: &[(&str, &str)]| {
        let args: Vec<_> = line.iter().map(|arg| (*arg).to_owned()).collect();
        parse(flags(), &args, &Env::new(variables.iter().copied()), Order::FlagsFirst)
            .expect("flags")
            .text("s")
            .to_owned()
    };
    for line in [&["-s="][..], &["-s", ""]] {
        assert_eq!(read(line, &[]), "standard", "{line:?}");
        assert_eq!(read(line, &[("CONSUL_S", "v")]), "v", "{line:?}");
    }
    assert_eq!(read(&["-s=b"], &[("CONSUL_S", "v")]), "b");
}

#[test]
fn a_switch_takes_a_value_only_after_the_equals_sign() {
    check(&["-b"], &["b=true"], &[]);
    check(&["-b=false"], &["b=false"], &[]);
    check(&["-b", "false"], &["b=true"], &["false"]);
    for value in ["1", "t", "T", "true", "TRUE", "True"] {
        assert!(read(&[&format!("-b={value}")]).unwrap().switch("b"));
    }
    for value in ["0", "f", "F", "false", "FALSE", "False"] {
        assert!(!read(&[&format!("-b={value}")]).unwrap().switch("b"));
    }
    refuse(&["-b=yes"], "invalid boolean value \"yes\" for -b: parse error");
    refuse(&["-b="], "invalid boolean value \"\" for -b: parse error");
}

#[test]
fn the_first_argument_ends_the_flags() {
    check(&["-b", "x", "-s", "v"], &["b=true"], &["x", "-s", "v"]);
    check(&["-", "-b"], &[], &["-", "-b"]);
    check(&["", "-b"], &[], &["", "-b"]);
    check(&[], &[], &[]);
}

#[test]
fn some_commands_take_flags_after_their_arguments() {
    let read = |line: &[&str]| {
        let args: Vec<_> = line.iter().map(|arg| (*arg).to_owned()).collect();
        parse(flags(), &args, &Env::default(), Order::Any)
    };
    let values = read(&["x", "-s", "v", "y", "-b", "--", "-t", "z"]).unwrap();
    assert_eq!((values.text("s"), values.switch("b"), values.text("t")), ("v", true, ""));
    assert_eq!(values.arguments, ["x", "y", "-t", "z"]);
    assert_eq!(read(&["x", "-nope"]).map(|_| ()), Err(ArgsError::Undefined("nope".to_owned())));
    assert_eq!(read(&["x", "-s"]).map(|_| ()), Err(ArgsError::NeedsArgument("s".to_owned())));
}

#[test]
fn two_dashes_end_the_flags_and_are_dropped() {
    check(&["-b", "--", "-s", "v"], &["b=true"], &["-s", "v"]);
    check(&["--"], &[], &[]);
    check(&["x", "--", "y"], &[], &["x", "--", "y"]);
}

#[test]
fn a_repeated_flag_is_set_again_and_a_list_grows() {
    check(&["-s", "1", "-s", "2"], &["s=2"], &[]);
    check(&["-b", "-b=false"], &["b=false"], &[]);
    check(&["-l", "1", "--l=2", "-l", "1"], &["l=1", "l=2", "l=1"], &[]);
    let pairs = read(&["-kv", "a=1", "-kv=b=x=y", "-kv", "a=2"]).unwrap().pairs("kv");
    assert_eq!(pairs.into_iter().collect::<Vec<_>>(), [("a".into(), "2".into()), ("b".into(), "x=y".into())]);
}

#[test]
fn letters_are_not_bundled() {
    refuse(&["-bs"], "flag provided but not defined: -bs");
    refuse(&["-sv"], "flag provided but not defined: -sv");
}

#[test]
fn what_gos_grammar_refuses_is_refused_in_its_words() {
    refuse(&["-nope"], "flag provided but not defined: -nope");
    refuse(&["--nope=1"], "flag provided but not defined: -nope");
    refuse(&["-s"], "flag needs an argument: -s");
    refuse(&["--s"], "flag needs an argument: -s");
    for bad in ["---s", "-=v", "--=v", "---"] {
        refuse(&[bad], &format!("bad flag syntax: {bad}"));
    }
    refuse(&["-i", "x"], "invalid value \"x\" for flag -i: parse error");
    refuse(&["-u", "-1"], "invalid value \"-1\" for flag -u: parse error");
    refuse(&["-d", "5"], "invalid value \"5\" for flag -d: parse error");
    refuse(&["-format=xml"], "invalid value \"xml\" for flag -format: expected pretty or json");
    refuse(&["-kv", "novalue"], "invalid value \"novalue\" for flag -kv: expected key=value");
    refuse(&["-kv", "=v"], "invalid value \"=v\" for flag -kv: expected key=value");
}

#[test]
fn help_is_asked_for_by_two_names() {
    for name in ["-h", "-help", "--h", "--help"] {
        assert_eq!(read(&["-b", name]).map(|_| ()), Err(ArgsError::HelpWanted));
    }
}

#[test]
fn values_are_typed() {
    let values = read(&["-i=-7", "-u", "18446744073709551615", "-d=1m30s"]).unwrap();
    assert_eq!(values.integer("i"), Some(-7));
    assert_eq!(values.unsigned("u"), Some(u64::MAX));
    assert_eq!(values.duration("d"), Some(std::time::Duration::from_secs(90)));
    assert_eq!((values.text("s"), values.optional("s"), values.text("format")), ("standard", None, "pretty"));
}

#[test]
fn a_flag_wins_over_the_environment_and_ours_over_consuls() {
    let env = Env::new([("CONSUL_S", "consul"), ("CONCORD_S", "concord"), ("CONNECT_PROXY_ID", "5s")]);
    let values = parse(flags(), &[], &env, Order::FlagsFirst).unwrap();
    assert_eq!((values.text("s"), values.origin("s")), ("concord", Some(Origin::ConcordVariable)));
    assert_eq!(values.duration("d"), Some(std::time::Duration::from_secs(5)));
    let values = parse(flags(), &["-s=line".to_owned()], &env, Order::FlagsFirst).unwrap();
    assert_eq!((values.text("s"), values.origin("s")), ("line", Some(Origin::CommandLine)));
}

#[test]
fn a_bad_variable_is_named() {
    let env = Env::new([("CONNECT_PROXY_ID", "soon")]);
    assert_eq!(
        parse(flags(), &[], &env, Order::FlagsFirst).map(|_| ()).unwrap_err().to_string(),
        "invalid value \"soon\" of the environment variable CONNECT_PROXY_ID: parse error"
    );
}
