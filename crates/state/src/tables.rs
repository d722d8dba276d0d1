//! All tables at one index of the log.

use concord_model::Timestamp;

use crate::keys::{self, Keyed, TableId};
use crate::table::{Marked, Table};

/// Gives access to one table by its row type.
pub(crate) trait Keeps<K: Keyed> {
    fn rows(&self) -> &Table<K>;
}

macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident: $id:ident<$row:ty> $found:tt $saved:tt;)*) => {
        /// All tables at one index of the log.
        #[derive(Clone, Debug)]
        pub(crate) struct Tables {
            /// Index of the last command applied.
            pub(crate) applied: u64,
            /// The leader's clock as of that command.
            pub(crate) at: Timestamp,
            $($(#[$doc])* pub(crate) $table: Table<keys::$table::Rows>,)*
        }

        impl Tables {
            pub(crate) fn new() -> Self {
                Self { applied: 0, at: Timestamp::default(), $($table: Table::new(),)* }
            }

            pub(crate) fn each(&self) -> Vec<&dyn Marked> {
                vec![$(&self.$table,)*]
            }

            pub(crate) fn table(&self, id: TableId) -> &dyn Marked {
                match id { $(TableId::$id => &self.$table,)* }
            }

            pub(crate) fn table_mut(&mut self, id: TableId) -> &mut dyn Marked {
                match id { $(TableId::$id => &mut self.$table,)* }
            }
        }

        $(impl Keeps<keys::$table::Rows> for Tables {
            fn rows(&self) -> &Table<keys::$table::Rows> {
                &self.$table
            }
        })*
    };
}

each_table!(tables);
