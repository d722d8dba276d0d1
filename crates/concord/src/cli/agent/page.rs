//! Generates the tables of keys in `docs/configuration.md` from the configuration's own tables.
//!
//! `CONCORD_BLESS=1 cargo test -p concord --bin concord page` writes them again.

use std::fmt::Write;
use std::path::PathBuf;

use concord_config::absent::{ABSENT, Answer};
use concord_config::deprecated::DEPRECATED;
use concord_config::knob::{DEV_DEFAULTS, KNOBS};

/// The heading before the tables; they end with the page.
const BEGIN: &str = "## Every key that counts\n";

fn tables() -> String {
    let mut own = format!("{BEGIN}\n| key | default | meaning |\n|---|---|---|\n");
    let mut line = |text: &str| writeln!(own, "{text}").expect("a text takes all");
    for knob in KNOBS {
        let dev = DEV_DEFAULTS.iter().find(|(key, _)| *key == knob.key);
        let dev = dev.map(|(_, value)| format!("with `-dev` `{value}`"));
        let plain = (!knob.default.is_empty()).then(|| format!("`{}`", knob.default));
        let default = plain.into_iter().chain(dev).collect::<Vec<_>>().join(", ");
        line(&format!("| `{}` | {default} | {} |", knob.key, knob.doc));
    }
    line(
        "\n`service`, `services`, `check` and `checks` hold definitions as the API takes them, in either spelling of their keys.",
    );
    line("\n## Keys of earlier days\n\n| key | read as |\n|---|---|");
    for old in DEPRECATED {
        line(&format!("| `{}` | `{}` |", old.key, old.now));
    }
    line(
        "\n## Keys with which nothing starts\n\nUnless they say that something is off.\n\n| key | why |\n|---|---|",
    );
    for absent in ABSENT {
        match absent.answer {
            Answer::Refuse => line(&format!("| `{}` | {} |", absent.key, absent.why)),
            Answer::ByMode => {
                line(&format!("| `{}` in the mode `enforcing` with a rate | {} |", absent.key, absent.why));
            }
            Answer::Warn | Answer::Accept => {}
        }
    }
    line(
        "\n## Keys without effect\n\nUnless they ask for what is the case anyway, they are told.\n\n| key | why |\n|---|---|",
    );
    for absent in ABSENT.iter().filter(|absent| absent.answer == Answer::Warn) {
        line(&format!("| `{}` | {} |", absent.key, absent.why));
    }
    own
}

#[test]
fn the_page_has_every_key_with_its_default_or_its_reason() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let (before, after) = page.split_at(page.find(BEGIN).expect("the page has tables of keys"));
    let tables = tables();
    if std::env::var_os("CONCORD_BLESS").is_some() {
        std::fs::write(path, format!("{before}{tables}")).expect("the page can be written");
        return;
    }
    let lacking: Vec<_> = tables.lines().filter(|row| !after.lines().any(|line| line == *row)).collect();
    assert!(
        after == tables,
        "the tables of docs/configuration.md are not those of the keys; CONCORD_BLESS=1 writes them anew. They lack:\n{}",
        lacking.join("\n")
    );
}
