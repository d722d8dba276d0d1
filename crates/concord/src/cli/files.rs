//! Files named on the command line. Their size is limited; the content decides whether they are HCL or JSON.

use std::fs;
use std::io::Read;

use concord_syntax::{Node, hcl, json};
use serde_json::Value;

use super::Io;
use super::failure::Failure;

/// Largest file that is read; an entry with all intentions of a large datacenter is smaller.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The file name that stands for the standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

/// The content of a file, or of the standard input for `-`.
pub(crate) fn read(path: &str, io: &mut Io) -> Result<String, Failure> {
    let fault = |error| Failure::system(format!("read {}", shown(path)), error);
    let mut text = String::new();
    if path == STANDARD_INPUT {
        io.input.as_mut().take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(fault)?;
    } else {
        let file = fs::File::open(path).map_err(fault)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(fault)?;
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::input(format!("{} is larger than {FILE_BYTES_MAX} bytes", shown(path))));
    }
    Ok(text)
}

/// The text of a flag, or the text that it refers to: `@path`, or `-` for the standard input.
pub(crate) fn text_or_file(value: &str, io: &mut Io) -> Result<String, Failure> {
    match value.strip_prefix('@') {
        Some(path) => read(path, io),
        None if value == STANDARD_INPUT => read(value, io),
        None => Ok(value.to_owned()),
    }
}

/// Parses a file: JSON if it begins with a brace, else HCL.
pub(crate) fn tree(path: &str, io: &mut Io) -> Result<Node, Failure> {
    let text = read(path, io)?;
    let parsed = if text.trim_start().starts_with('{') { json::parse(&text) } else { hcl::parse(&text) };
    parsed.map_err(|error| Failure::input(format!("{}:{error}", shown(path))))
}

/// The name of a file in messages.
pub(crate) fn shown(path: &str) -> &str {
    if path == STANDARD_INPUT { "the standard input" } else { path }
}

/// A tree as JSON, as the agent decodes it: repeated blocks become a list.
pub(crate) fn value(node: &Node) -> Value {
    serde_json::to_value(node).expect("a tree has text keys and finite numbers only")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_blocks_become_a_list() {
        let node = hcl::parse("a = 1\nb { x = true }\nb { x = false }\nc { y = \"z\" }").unwrap();
        assert_eq!(value(&node), json!({"a": 1, "b": [{"x": true}, {"x": false}], "c": {"y": "z"}}));
    }
}
