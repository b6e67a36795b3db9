//! JSON Schema of policy files, from their types.

use crate::document::PolicyFile;

/// The schema as text, as `docs/policy.schema.json` has it.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(PolicyFile);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
