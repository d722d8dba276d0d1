//! From the nodes of a template to its text.

use std::collections::BTreeMap;

use super::datum::Datum;
use super::parse::{Function, Node, Term};

/// Longest result.
const BYTES_MAX: usize = 4 << 20;

struct Frame<'a> {
    fields: &'a BTreeMap<&'static str, Datum>,
    /// Values of variables, the innermost last.
    variables: Vec<(&'a str, Datum)>,
    /// What `.` is within a range.
    dot: Option<Datum>,
    out: String,
}

pub(super) fn template(nodes: &[Node], fields: &BTreeMap<&'static str, Datum>) -> Result<String, String> {
    let mut frame = Frame { fields, variables: Vec::new(), dot: None, out: String::new() };
    frame.run(nodes)?;
    Ok(frame.out)
}

impl<'a> Frame<'a> {
    fn run(&mut self, nodes: &'a [Node]) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.print(text)?,
                Node::Print(term) => {
                    let text = self.value(term)?.printed();
                    self.print(&text)?;
                }
                Node::If { condition, yes, no } => {
                    let branch = if self.value(condition)?.is_true() { yes } else { no };
                    self.run(branch)?;
                }
                Node::Range { names, list, each, empty } => self.range(names, list, each, empty)?,
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        names: &'a [String],
        list: &'a Term,
        each: &'a [Node],
        empty: &'a [Node],
    ) -> Result<(), String> {
        let Datum::List(list) = self.value(list)? else {
            return Err("a range goes over a list, and there is one, .AdminAccessLogConfig".to_owned());
        };
        if list.is_empty() {
            return self.run(empty);
        }
        let outer = self.dot.take();
        for (at, one) in list.into_iter().enumerate() {
            let before = self.variables.len();
            let (at, one) = (Datum::Number(i64::try_from(at).unwrap_or(i64::MAX)), Datum::Text(one));
            match names {
                [] => {}
                [own] => self.variables.push((own, one.clone())),
                [index, own, ..] => {
                    self.variables.extend([(index.as_str(), at), (own.as_str(), one.clone())])
                }
            }
            self.dot = Some(one);
            self.run(each)?;
            self.variables.truncate(before);
        }
        self.dot = outer;
        Ok(())
    }

    fn print(&mut self, text: &str) -> Result<(), String> {
        if self.out.len() + text.len() > BYTES_MAX {
            return Err(format!("what it gives is longer than {BYTES_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn value(&self, term: &Term) -> Result<Datum, String> {
        match term {
            Term::Literal(datum) => Ok(datum.clone()),
            Term::Dot => self.dot.clone().ok_or_else(|| "{{ . }} has a value only within a range".to_owned()),
            Term::Field(name) => self.field(name),
            Term::Variable(name) => {
                let found = self.variables.iter().rev().find(|(own, _)| own == name);
                found.map(|(_, datum)| datum.clone()).ok_or_else(|| format!("{name} has no value"))
            }
            Term::Call(function, arguments) => {
                let values = arguments.iter().map(|one| self.value(one)).collect::<Result<Vec<_>, _>>()?;
                Ok(called(*function, values))
            }
        }
    }

    fn field(&self, name: &str) -> Result<Datum, String> {
        let known = || self.fields.keys().copied().collect::<Vec<_>>().join(", ");
        self.fields.get(name).cloned().ok_or_else(|| format!("there is no .{name}; there are {}", known()))
    }
}

fn called(function: Function, values: Vec<Datum>) -> Datum {
    let same = |values: &[Datum]| values.split_first().is_some_and(|(first, rest)| rest.contains(first));
    let last = values.last().cloned();
    let chosen = |truth: bool| values.iter().find(|one| one.is_true() == truth).cloned();
    match function {
        Function::Equal => Datum::Truth(same(&values)),
        Function::NotEqual => Datum::Truth(!same(&values)),
        Function::Not => Datum::Truth(!values.iter().any(Datum::is_true)),
        Function::And => chosen(false).or(last).unwrap_or(Datum::Truth(true)),
        Function::Or => chosen(true).or(last).unwrap_or(Datum::Truth(false)),
    }
}
