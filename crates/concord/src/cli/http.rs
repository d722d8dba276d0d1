//! The flags and variables for connecting to an agent, and the client that they configure.

use std::fs;
use std::io::Read as _;

use concord_client::{Address, BasicAuth, Client, Config, TlsFiles};
use concord_model::Secret;
use concord_runtime::Scope;

use super::env::{Env, FoundVariable};
use super::failure::Failure;
use super::flag::{Flag, Values, Variable, parse_bool};

/// Largest token file; a token is a UUID, that of a login may be a JSON web token.
const TOKEN_FILE_BYTES_MAX: u64 = 64 << 10;

/// The flags of every command that sends requests to an agent.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::text(
        "http-addr",
        "Address and port of the agent, or unix:///path. https:// before it asks for TLS.",
    )
    .placeholder("<address>")
    .default("http://127.0.0.1:8500")
    .variable(Variable::Product("HTTP_ADDR")),
    Flag::text("token", "ACL token of the request; without one the agent's own default token counts.")
        .placeholder("<value>")
        .variable(Variable::Product("HTTP_TOKEN")),
    Flag::text("token-file", "File that holds the ACL token; it wins over a token given the same way.")
        .placeholder("<path>")
        .variable(Variable::Product("HTTP_TOKEN_FILE")),
    Flag::text("ca-file", "File with the certificate authorities to trust, PEM.")
        .placeholder("<path>")
        .variable(Variable::Product("CACERT")),
    Flag::text("ca-path", "Directory of such files; used if there is no -ca-file.")
        .placeholder("<path>")
        .variable(Variable::Product("CAPATH")),
    Flag::text("client-cert", "File with the certificate to show the agent, PEM. Needs -client-key.")
        .placeholder("<path>")
        .variable(Variable::Product("CLIENT_CERT")),
    Flag::text("client-key", "File with the key to -client-cert, PEM.")
        .placeholder("<path>")
        .variable(Variable::Product("CLIENT_KEY")),
    Flag::text("tls-server-name", "Name to expect in the agent's certificate instead of its address.")
        .placeholder("<name>")
        .variable(Variable::Product("TLS_SERVER_NAME")),
    Flag::text("datacenter", "Datacenter to ask; the agent's own if it is left out.").placeholder("<name>"),
    Flag::switch("stale", "Let any server answer with what it has, even without a leader."),
    Flag::text("namespace", "Namespace to ask about.")
        .placeholder("<name>")
        .variable(Variable::Product("NAMESPACE")),
    Flag::text("partition", "Partition to ask about.")
        .placeholder("<name>")
        .variable(Variable::Product("PARTITION")),
];

/// The flags among them that choose the server to answer.
pub(crate) const FOR_SERVERS: [&str; 2] = ["datacenter", "stale"];

/// The client that flags and variables configure.
pub(crate) fn client(values: &Values, env: &Env, scope: &Scope) -> Result<Client, Failure> {
    Client::new(config(values, env)?, scope).map_err(Failure::api("prepare the connection"))
}

/// The client's settings from flags and variables.
pub(crate) fn config(values: &Values, env: &Env) -> Result<Config, Failure> {
    let path = |name: &str| values.optional(name).filter(|value| !value.is_empty()).map(Into::into);
    let text = |name: &str| values.text(name).to_owned();
    Ok(Config {
        token: token(values)?,
        basic_auth: env.product("HTTP_AUTH").map(|found| BasicAuth::parse(found.value)),
        datacenter: if values.find("datacenter").is_some() { text("datacenter") } else { String::new() },
        namespace: text("namespace"),
        partition: text("partition"),
        tls: TlsFiles {
            ca_file: path("ca-file"),
            ca_path: path("ca-path"),
            authorities: Vec::new(),
            client_cert: path("client-cert"),
            client_key: path("client-key"),
            server_name: Some(text("tls-server-name")).filter(|name| !name.is_empty()),
            danger_accept_any_certificate: !switch(env.product("HTTP_SSL_VERIFY"), true)?,
        },
        ..Config::new(address(values, env)?)
    })
}

fn address(values: &Values, env: &Env) -> Result<Address, Failure> {
    let text = values.text("http-addr");
    let address = Address::parse(text).map_err(|error| Failure::usage(error.to_string()))?;
    // The variable decides for addresses without a scheme.
    let says_scheme = values.optional("http-addr").is_some_and(|text| text.contains("://"));
    let secured = !says_scheme && switch(env.product("HTTP_SSL"), false)?;
    Ok(if secured { address.secured() } else { address })
}

fn switch(found: Option<FoundVariable<'_>>, default: bool) -> Result<bool, Failure> {
    let Some(found) = found else { return Ok(default) };
    parse_bool(found.value).ok_or_else(|| {
        Failure::usage(format!(
            "the environment variable {} is {:?}; expected true or false",
            found.name, found.value
        ))
    })
}

/// The token that wins: the command line before our variables before Consul's. At the same level the token file wins.
fn token(values: &Values) -> Result<Option<Secret>, Failure> {
    let file = values.optional("token-file").filter(|path| !path.is_empty());
    let text = values.optional("token").filter(|token| !token.is_empty());
    match (file, text) {
        (Some(path), None) => read_token(path),
        (Some(path), Some(_)) if values.origin("token-file") >= values.origin("token") => read_token(path),
        (_, Some(token)) => Ok(Some(Secret::new(token.to_owned()))),
        (None, None) => Ok(None),
    }
}

fn read_token(path: &str) -> Result<Option<Secret>, Failure> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| Failure::system(format!("read the token file {path}"), error))?;
    let token = Secret::new(text.trim().to_owned());
    if token.is_empty() {
        return Err(Failure::input(format!("the token file {path} is empty")));
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::super::args::{self, Order};
    use super::*;

    fn read(line: &[&str], variables: &[(&str, &str)]) -> Result<Config, Failure> {
        let args: Vec<_> = line.iter().map(|word| (*word).to_owned()).collect();
        let env = Env::new(variables.iter().copied());
        config(&args::parse(FLAGS.to_vec(), &args, &env, Order::FlagsFirst).unwrap(), &env)
    }

    #[track_caller]
    fn check_address(line: &[&str], variables: &[(&str, &str)], expected: &str) {
        assert_eq!(read(line, variables).unwrap().address.to_string(), expected);
    }

    #[test]
    fn the_address_comes_from_flag_variable_or_default() {
        check_address(&[], &[], "http://127.0.0.1:8500");
        check_address(&[], &[("CONSUL_HTTP_ADDR", "a:1")], "http://a:1");
        check_address(&[], &[("CONSUL_HTTP_ADDR", "a:1"), ("CONCORD_HTTP_ADDR", "b:2")], "http://b:2");
        check_address(&["-http-addr=unix:///s"], &[("CONCORD_HTTP_ADDR", "b:2")], "unix:///s");
        check_address(&["-http-addr="], &[("CONCORD_HTTP_ADDR", "b:2")], "http://b:2");
        check_address(&["-http-addr="], &[], "http://127.0.0.1:8500");
    }

    #[test]
    fn the_ssl_variable_decides_only_for_addresses_without_a_scheme() {
        let ssl = ("CONSUL_HTTP_SSL", "true");
        check_address(&[], &[ssl], "https://127.0.0.1:8500");
        check_address(&["-http-addr", "a:1"], &[ssl], "https://a:1");
        check_address(&["-http-addr", "http://a:1"], &[ssl], "http://a:1");
        check_address(&["-http-addr", "https://a:1"], &[("CONSUL_HTTP_SSL", "0")], "https://a:1");
        assert!(read(&[], &[("CONSUL_HTTP_SSL", "maybe")]).is_err());
    }

    #[test]
    fn certificates_are_checked_unless_the_variable_says_otherwise() {
        assert!(!read(&[], &[]).unwrap().tls.danger_accept_any_certificate);
        assert!(read(&[], &[("CONSUL_HTTP_SSL_VERIFY", "false")]).unwrap().tls.danger_accept_any_certificate);
    }

    #[test]
    fn the_nearest_token_wins_and_among_equals_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, " from-file\n").unwrap();
        let path = path.to_str().unwrap();
        let token = |line: &[&str], variables: &[(&str, &str)]| {
            read(line, variables).unwrap().token.map(|token| token.expose().to_owned()).unwrap_or_default()
        };
        assert_eq!(token(&[], &[]), "");
        assert_eq!(token(&["-token=t", "-token-file", path], &[]), "from-file");
        assert_eq!(token(&["-token=t"], &[("CONSUL_HTTP_TOKEN_FILE", path)]), "t");
        assert_eq!(token(&[], &[("CONCORD_HTTP_TOKEN", "own"), ("CONSUL_HTTP_TOKEN_FILE", path)]), "own");
        assert_eq!(
            token(&[], &[("CONCORD_HTTP_TOKEN_FILE", path), ("CONCORD_HTTP_TOKEN", "own")]),
            "from-file"
        );
        // As in Consul.
        assert_eq!(token(&["-token="], &[("CONCORD_HTTP_TOKEN", "own")]), "own");
        assert_eq!(token(&["-token="], &[]), "");
    }

    #[test]
    fn an_empty_or_missing_token_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(read(&["-token-file", path.to_str().unwrap()], &[]).is_err());
        fs::write(&path, "\n").unwrap();
        assert!(read(&["-token-file", path.to_str().unwrap()], &[]).is_err());
    }
}
