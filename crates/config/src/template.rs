//! Templates in addresses, `{{ GetPrivateIP }}`, as Consul takes them (go-sockaddr).
//!
//! ```text
//! text     = { anything | "{{" pipeline "}}" }
//! pipeline = command { "|" command }        what comes out of one is the last argument of the next
//! command  = function { argument }
//! argument = "text" | `text` | number | function | "(" pipeline ")" | "."
//! ```
//!
//! `.` is the result of `GetAllInterfaces`. The rest of Go's template language (`if`, `range`, variables) is not
//! supported, and neither is `math`. Nothing here queries the system: the machine's addresses are an argument.

use crate::interfaces::Interfaces;

mod functions;
mod parse;
mod wrong;

pub(crate) use self::wrong::Wrong;

#[cfg(test)]
mod tests;

/// Longest text with a template; real ones are below 200 bytes.
const TEMPLATE_BYTES_MAX: usize = 4096;
/// Whether a text contains templates.
pub(crate) fn is_in(text: &str) -> bool {
    text.contains("{{")
}

/// A text of a command line with its templates replaced. The error says what is wrong with them.
///
/// # Errors
/// When a template cannot be read, or the machine has no such address.
pub fn rendered(text: &str, interfaces: &Interfaces) -> Result<String, String> {
    render(text, interfaces).map(|text| text.trim().to_owned()).map_err(|wrong| wrong.0)
}

/// The text with each template replaced by its result.
pub(crate) fn render(text: &str, interfaces: &Interfaces) -> Result<String, Wrong> {
    if text.len() > TEMPLATE_BYTES_MAX {
        return Err(Wrong(format!("it is longer than {TEMPLATE_BYTES_MAX} bytes")));
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let after = match trims(after) {
            Some(inside) => {
                out.truncate(out.trim_end().len());
                inside
            }
            None => after,
        };
        let (pipeline, after) = parse::pipeline(after)?;
        out.push_str(&functions::run(&pipeline, interfaces)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The text after a `-` that removes the blanks before the template.
fn trims(after: &str) -> Option<&str> {
    after.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace))
}
