//! For tests: runs a command line against a scripted server, and records its requests and its output.

use std::io::{self, Cursor, Write};
use std::sync::Arc;

use concord_client::testing::{Scripted, ScriptedServer, Seen};
use concord_runtime::{Executor, Scope, TokioClock};
use parking_lot::Mutex;

use super::table::COMMANDS;
use super::{Env, Invocation, Io, Program, args};

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
    /// Requests: the request line, then the body if there is one.
    pub(crate) asked: Vec<String>,
    pub(crate) seen: Vec<Seen>,
}

/// A command line to run, and its environment.
pub(crate) struct Bench {
    program: Program,
    variables: Vec<(String, String)>,
    input: String,
    script: Box<dyn Fn(&Seen) -> Scripted + Send + Sync>,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("commands print UTF-8")
    }
}

impl Bench {
    /// A server that answers every request with this body.
    pub(crate) fn answering(body: &str) -> Self {
        let body = body.to_owned();
        Self::scripted(move |_| Scripted::ok(body.clone()))
    }

    pub(crate) fn scripted(script: impl Fn(&Seen) -> Scripted + Send + Sync + 'static) -> Self {
        Self {
            program: Program::Concord,
            variables: Vec::new(),
            input: String::new(),
            script: Box::new(script),
        }
    }

    pub(crate) fn started_as(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn input(mut self, text: &str) -> Self {
        self.input = text.to_owned();
        self
    }

    /// Runs the command. The server's address is in a variable, so that flags can override it.
    pub(crate) fn run(self, words: &[&str]) -> Ran {
        let executor = Executor::new("server", 1).unwrap();
        let scope = Scope::on("server", Arc::new(TokioClock::new()), executor.handle());
        let server = ScriptedServer::new(self.script);
        let address = executor.block_on(server.listen(&scope, None)).unwrap();
        let own = [("CONSUL_HTTP_ADDR".to_owned(), address.to_string())];
        let env = Env::new(own.into_iter().chain(self.variables));
        let (out, err) = (Sink::default(), Sink::default());
        let mut io = Io {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            input: Box::new(Cursor::new(self.input.into_bytes())),
        };
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let code = super::run(self.program, &words, &env, &mut io);
        let seen = server.seen();
        scope.cancel();
        executor.shutdown_background();
        let asked = seen.iter().map(|seen| format!("{} {}", seen.line(), seen.body).trim_end().to_owned());
        Ran { code, out: out.text(), err: err.text(), asked: asked.collect(), seen }
    }
}

/// A parsed call of a command, which is not run.
pub(crate) fn invoked<'a>(program: Program, name: &str, words: &[&str], env: &'a Env) -> Invocation<'a> {
    let command = COMMANDS.iter().find(|command| command.name == name).expect("a command");
    let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
    let values = args::parse(command.all_flags(), &words, env, command.order()).expect("its flags");
    Invocation { program, command, values, env }
}

/// A file in a directory that exists as long as the result.
pub(crate) fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}
