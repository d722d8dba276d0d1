//! The results: figures with their units, printed as one JSON object.

use serde_json::{Value, json};

/// Figures in the order in which they were measured.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Value>);

impl Figures {
    pub(crate) fn add(&mut self, what: impl Into<String>, value: f64, unit: &str) {
        self.0.push(json!({ "what": what.into(), "value": value, "unit": unit }));
    }

    /// `{"figures":[{"what":…,"value":…,"unit":…},…]}` in one line.
    pub(crate) fn to_json(&self) -> String {
        json!({ "figures": self.0 }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_one_object_in_order() {
        let mut figures = Figures::default();
        figures.add("b", 2.5, "ms");
        figures.add("a", 1.0, "MB");
        let expected =
            r#"{"figures":[{"what":"b","value":2.5,"unit":"ms"},{"what":"a","value":1.0,"unit":"MB"}]}"#;
        assert_eq!(figures.to_json(), expected);
    }
}
