//! An object as the table that a script sees.

use mlua::{Lua, Result, Table, Value as LuaValue};
use serde_json::Value;

/// Returns `value` as Argo CD hands it to a script: every number is a double, an entry of a map that
/// is null is absent, and one of a list is left out.
pub(super) fn to_lua(lua: &Lua, value: &Value) -> Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(flag) => LuaValue::Boolean(*flag),
        Value::Number(number) => LuaValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => LuaValue::String(lua.create_string(text)?),
        Value::Array(list) => LuaValue::Table(to_sequence(lua, list)?),
        Value::Object(map) => {
            let table = lua.create_table_with_capacity(0, map.len())?;
            for (key, value) in map {
                table.raw_set(key.as_str(), to_lua(lua, value)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

fn to_sequence(lua: &Lua, list: &[Value]) -> Result<Table> {
    let table = lua.create_table_with_capacity(list.len(), 0)?;
    for value in list.iter().filter(|value| !value.is_null()) {
        table.raw_push(to_lua(lua, value)?)?;
    }
    Ok(table)
}
