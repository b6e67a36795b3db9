//! Texts that write many rows at once: each goes to SQLite's thread and back.
//!
//! Such a text is one INSERT for each row, not one INSERT of many: SQLite could have to take half of the latter back,
//! and would copy every page that it touches to a file of its own first.

/// How many rows a text writes. Few sizes, so that each is prepared once and found again; below what SQLite's thread
/// may answer (50) without being read.
const ROWS: [usize; 3] = [48, 8, 1];

/// Inserts of rows into one table, for each number of rows.
#[derive(Debug)]
pub struct Insert {
    texts: [String; ROWS.len()],
}

impl Insert {
    /// Of rows of `COLUMNS` values. `into` is the table with the names of its columns, `conflict` what happens to a
    /// row that is there already.
    pub fn new<const COLUMNS: usize>(into: &str, conflict: &str) -> Self {
        let values = ["?"; COLUMNS].join(",");
        let statement = format!("INSERT INTO {into} VALUES ({values}) ON CONFLICT {conflict};");
        Self { texts: ROWS.map(|rows| statement.repeat(rows)) }
    }

    /// The text for a portion of so many rows.
    pub fn of(&self, rows: usize) -> &str {
        let size = ROWS.iter().position(|size| *size == rows);
        &self.texts[size.expect("portions are as long as texts are")]
    }
}

/// Cuts rows into as many as texts write, in their order.
pub fn portions<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = ROWS.into_iter().find(|size| *size <= rows.len())?;
        let portion;
        (portion, rows) = rows.split_at(size);
        Some(portion)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_portion_has_its_text() {
        let insert = Insert::new::<2>("t (a, b)", "DO NOTHING");
        assert_eq!(insert.of(1), "INSERT INTO t (a, b) VALUES (?,?) ON CONFLICT DO NOTHING;");
        let rows: Vec<usize> = (0..ROWS[0] * 2 + ROWS[1] * 3 + 5).collect();
        let mut seen = Vec::new();
        for portion in portions(&rows) {
            assert_eq!(insert.of(portion.len()).matches("(?,?)").count(), portion.len());
            seen.extend_from_slice(portion);
        }
        assert_eq!(seen, rows);
    }
}
